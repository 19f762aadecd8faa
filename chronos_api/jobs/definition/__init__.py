"""Definitions of jobs: from fields of a request to checked values, and back."""
