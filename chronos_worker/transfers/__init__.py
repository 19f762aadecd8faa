"""The engine that carries many HTTP requests at once with libcurl."""
