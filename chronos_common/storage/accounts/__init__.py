"""The statements on users, workspaces, invitations, keys and tokens."""
