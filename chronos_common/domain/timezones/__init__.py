"""Time zones: names, files and changes of their rules."""
