"""Exports of everything that a workspace, or an account, has."""
