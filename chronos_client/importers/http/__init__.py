"""HTTP requests that sources describe, as commands of a shell or otherwise."""
