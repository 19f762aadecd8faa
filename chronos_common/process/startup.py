"""How a process starts: its settings, its log, and the database that it needs.

A fault that prevents the start is reported in one line, in the form of the log.
"""

import gc
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError

from chronos_common import logs, settings
from chronos_common.broker import connect_redis, explain
from chronos_common.errors import EXIT_CODE, ChronosError, SettingsInvalid
from chronos_common.settings import Settings
from chronos_common.storage.postgres import availability
from chronos_common.storage.postgres.database import connect

_log = structlog.get_logger(__name__)

#: New objects between two collections. The hot path makes no garbage cycles, but statements that
#: SQLAlchemy builds are some: at 200,000 a scheduler grew by 18 MiB before the first collection.
GARBAGE_THRESHOLD = 25_000

#: More open files than any setting asks for. The hard limit may be a thousand million.
_ENOUGH_FILES = 65_536

STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})


def begin() -> Settings:
    """Return the settings. Configure the log by them, and log the variables without effect."""
    loaded = settings.load()
    logs.configure(loaded)
    logs.take_over()
    for remark in settings.remarks():
        _log.warning(remark)
    return loaded


@contextmanager
def service() -> Iterator[Settings]:
    """Begin, and turn an error of ours into a line of the log and exit code 2."""
    try:
        yield begin()
    except SettingsInvalid as error:
        # They may be wrong in the log's form itself.
        if sys.stderr.isatty() or settings.given("LOG_FORMAT") == "console":
            raise
        logs.configure_as("json", "info")
        logs.take_over()
        _fail(str(error))
    except DBAPIError as error:
        problem = availability.explain(error)
        if problem is None:
            raise
        _fail(str(problem))
    except ChronosError as error:
        _fail(str(error))


def _fail(reason: str) -> None:
    _log.critical(reason)
    sys.exit(EXIT_CODE)


def hold_stop_signals() -> None:
    """Let SIGTERM and SIGINT wait until this thread asks for them or unblocks them.

    Call this before any thread starts, so that no other thread gets them.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)


def require_database(loaded: Settings) -> None:
    """Raise :class:`~availability.DatabaseUnusable` if the database cannot be used."""
    engine = connect(loaded.database_url, name="chronos-start", pool_size=1)
    try:
        availability.require(engine)
    finally:
        engine.dispose()


def warn_without_database(loaded: Settings) -> None:
    """Log an error if the database cannot be used, for a process that goes on without it."""
    try:
        require_database(loaded)
    except availability.DatabaseUnusable as error:
        _log.error(str(error))


def warn_without_redis(loaded: Settings) -> None:
    """Log an error if Redis cannot be used. Every process goes on without it until it can."""
    client = connect_redis(loaded.redis_url)
    try:
        client.ping()
    except RedisError as error:
        _log.error(str(explain(error)))
    finally:
        client.close()


def tune_garbage_collection() -> None:
    """Make collections short and rare. Call this once, when everything is loaded."""
    # Loaded modules stay for good, so no later collection needs to visit them.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD, 20, 20)


def raise_file_limit() -> int:
    """Raise the limit of open files as far as it may be, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    highest = _ENOUGH_FILES if hard == unlimited else min(hard, _ENOUGH_FILES)
    if soft == unlimited or soft >= highest:
        return _ENOUGH_FILES if soft == unlimited else soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest, hard))
    except (OSError, ValueError):
        # Some systems (macOS) refuse what the hard limit permits.
        return soft
    return highest
