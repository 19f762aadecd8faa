"""The statements on ``executions`` and on their sums."""
