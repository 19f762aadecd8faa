"""The e-mails that Chronos itself sends, from the outboxes in PostgreSQL."""
