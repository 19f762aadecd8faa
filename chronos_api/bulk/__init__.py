"""Changes and creation of many jobs in one request."""
