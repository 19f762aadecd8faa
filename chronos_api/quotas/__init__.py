"""Quotas of workspaces: their use, and bounds by the operator."""
