"""Cron expressions: their fields, their dates, and other dialects."""
