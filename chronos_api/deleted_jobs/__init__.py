"""Deleted jobs: list and restore them."""
