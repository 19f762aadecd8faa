"""Executions: history, attempts, logs, exports."""
