"""How users like the dashboard."""
