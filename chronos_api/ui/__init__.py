"""The dashboard: pages for browsers, made on the server by the services of the API."""
