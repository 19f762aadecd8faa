"""Routes and metrics for those who operate an installation."""
