"""The application for a WSGI server of your own: ``gunicorn chronos_api.wsgi:app``."""

from chronos_api.app import create_app
from chronos_common import logs, settings

_loaded = settings.load()
logs.configure(_loaded)
app = create_app(_loaded)
