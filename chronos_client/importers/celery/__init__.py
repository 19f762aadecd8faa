"""Celery's schedules: of an application, of django-celery-beat, and of RedBeat."""
