"""How messages are consumed: the Celery applications, their transport and the watchdog."""
