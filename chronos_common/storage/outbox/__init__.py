"""E-mails that are due, in PostgreSQL until they were sent."""
