"""Logins of programs without a password: a person approves them in the dashboard (RFC 8628)."""
