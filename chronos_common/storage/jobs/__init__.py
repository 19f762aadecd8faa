"""The statements on ``jobs`` and ``schedules``."""
