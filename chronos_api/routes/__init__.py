"""The routes: each parses, calls a service and answers."""
