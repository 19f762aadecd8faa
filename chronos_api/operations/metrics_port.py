"""The port for metrics, which strangers need not reach: it shows metrics and health alone."""

from flask import Flask, request

from chronos_common.errors import NotFound

_METRICS = "/metrics"
_SHOWN = frozenset({_METRICS, "/health"})


def register(app: Flask, port: int) -> None:
    """Show metrics on ``port`` only, and nothing but them and health there. 0 is no such port."""
    if not port:
        return

    def check() -> None:
        if request.environ.get("SERVER_PORT") == str(port):
            if request.path not in _SHOWN:
                raise NotFound(f"This port shows {' and '.join(sorted(_SHOWN))} only.")
        elif request.path == _METRICS:
            raise NotFound("Metrics are shown on a port of their own, CHRONOS_METRICS_PORT.")

    app.before_request(check)
