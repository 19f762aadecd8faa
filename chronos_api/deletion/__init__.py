"""The deletion of workspaces and accounts."""
