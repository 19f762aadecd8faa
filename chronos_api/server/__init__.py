"""The server: gunicorn, with bounds on everything that a client sends and does not read."""
