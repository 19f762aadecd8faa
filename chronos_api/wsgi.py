"""The application for a WSGI server of your own: ``gunicorn chronos_api.wsgi:app``."""

from chronos_api.app import create_app
from chronos_common.process import startup

app = create_app(startup.begin())
