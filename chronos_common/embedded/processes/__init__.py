"""Child processes of ``chronos up``: their start, their logs, their end."""
