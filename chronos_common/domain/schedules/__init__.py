"""Schedules: when a job is due, and how that reads."""
