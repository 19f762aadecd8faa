"""What the API does: plain functions that open a transaction and compose storage calls."""
