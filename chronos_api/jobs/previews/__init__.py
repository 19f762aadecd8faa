"""Schedules that are tried out before they are saved."""
