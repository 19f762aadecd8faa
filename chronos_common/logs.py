"""Structured logs: one JSON object a line, or readable lines for a terminal.

Everything else that would be written to stderr becomes a record of the same form: warnings,
uncaught errors of threads, and Celery's lines about signals.
"""

import io
import logging
import os
import sys
import threading
from typing import Any, TextIO

import structlog

from chronos_common.domain.texts import visible
from chronos_common.settings import Settings

_STDERR = 2

_log = structlog.get_logger(__name__)


def configure(settings: Settings) -> None:
    """Send structlog's and the standard library's records to stderr in one form."""
    configure_as(settings.log_format, settings.log_level)


def configure_as(form: str, level: str) -> None:
    """Send records to stderr in the form "json" or "console", from a level on."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendering: list[structlog.types.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if form == "json"
        else [
            _make_visible,
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=_write_traceback
            ),
        ]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = _LogHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # These log every connection or task. The events that matter are logged by our code.
    for chatty in ("celery", "kombu", "amqp", "urllib3", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _make_visible(_logger: Any, _method: str, record: Any) -> Any:
    """Escape the control characters of texts, which a terminal would obey."""
    return {name: _visible(value) for name, value in record.items()}


def _visible(value: Any) -> Any:
    if isinstance(value, str):
        return visible(value)
    # Everything else is written by its repr, which has escapes already.
    return value


def _write_traceback(stream: TextIO, given: Any) -> None:
    text = io.StringIO()
    structlog.dev.plain_traceback(text, given)
    stream.write(visible(text.getvalue(), keep="\n\t"))


class _LogHandler(logging.StreamHandler[Any]):
    """Writes records to stderr. One that cannot be formatted is reported in the same form."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name for it
        """Name the record instead of printing a traceback."""
        lost = logging.LogRecord(
            __name__,
            logging.ERROR,
            record.pathname,
            record.lineno,
            "a record of the log could not be written",
            None,
            sys.exc_info(),
        )
        os.write(_STDERR, self.format(lost).encode("utf-8", "replace") + b"\n")


def say_in_signal_handler(text: str) -> None:
    """Write a line of the log from a handler of signals, which may interrupt a line under way."""
    root = logging.getLogger()
    if root.isEnabledFor(logging.INFO) and root.handlers:
        record = logging.LogRecord(__name__, logging.INFO, __file__, 0, text, None, None)
        os.write(_STDERR, root.handlers[0].format(record).encode() + b"\n")


def take_over() -> None:
    """Log the warnings and the uncaught errors of this process."""
    logging.captureWarnings(capture=True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread
    sys.unraisablehook = _unraisable


def _uncaught(kind: type[BaseException], error: BaseException, traceback: Any) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        _log.critical("uncaught error", exc_info=(kind, error, traceback))


def _uncaught_in_thread(given: threading.ExceptHookArgs) -> None:
    if given.exc_value is not None:
        name = given.thread.name if given.thread else None
        told = (given.exc_type, given.exc_value, given.exc_traceback)
        _log.error("thread ended by an error", thread=name, exc_info=told)


def _unraisable(given: Any) -> None:
    told = given.exc_value and (given.exc_type, given.exc_value, given.exc_traceback)
    _log.error(
        "error that nobody can catch",
        message=given.err_msg,
        object=repr(given.object),
        exc_info=told,
    )
