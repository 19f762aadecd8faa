"""``chronos executions``."""
