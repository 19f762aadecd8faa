"""Second factors: the codes that logins need beside the password."""
