"""Outgoing e-mails, which stay in PostgreSQL until they are sent."""
