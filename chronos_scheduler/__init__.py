"""Turns due schedules into executions and hands them to workers; any number run side by side."""
