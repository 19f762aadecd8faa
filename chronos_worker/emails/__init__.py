"""E-mails: how they are written, sent, and to whom."""
