"""Turns due schedules into executions and hands them to workers. Any number run side by side."""
