"""Schedulers that a company runs for its customers."""
