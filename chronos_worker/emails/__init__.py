"""E-mails: building messages, and sending them by SMTP."""
