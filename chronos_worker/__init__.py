"""Performs executions: a Celery worker in front of a libcurl transfer engine."""
