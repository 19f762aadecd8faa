"""HTTP messages: requests to targets, and their answers."""
