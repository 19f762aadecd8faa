"""Everything on this machine, with nothing installed but Python packages."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import requests

from chronos_common import clock, settings
from chronos_common.embedded import data_folder
from chronos_common.embedded.banner import print_banner
from chronos_common.embedded.console import Terminal
from chronos_common.embedded.demo import echo, jobs
from chronos_common.embedded.installation import Installation, configure
from chronos_common.embedded.processes import forking, lock, orphans, ports
from chronos_common.embedded.processes.child import Child, ChildFailed, Program
from chronos_common.embedded.processes.forking import ForkServer
from chronos_common.embedded.processes.shutdown import (
    StartStopped,
    StopRequest,
    on_signals,
    wait_until,
)
from chronos_common.embedded.servers import servers
from chronos_common.embedded.servers.servers import Servers
from chronos_common.embedded.supervisor import Supervisor

_SECONDS_TO_LOAD = 60
#: The migrations of a large database take their time.
_SECONDS_TO_END = 24 * 3600
_SECONDS_TO_ANSWER = 60
_HEALTH_TIMEOUT_SECONDS = 2


def run(
    options: Mapping[str, object],
    *,
    with_demo: bool,
    workers: int,
    schedulers: int,
    verbose: bool,
) -> None:
    """Run an installation until a signal comes, with settings of the command line."""
    installation = configure(options, workers=workers, schedulers=schedulers, with_demo=with_demo)
    if not installation.folder.exists():
        # No earlier start has the port then, and a start that is refused leaves no folder.
        _check_address(installation)
    data_folder.prepare(installation.folder)
    terminal = Terminal(verbose=verbose)
    for remark in settings.remarks():
        terminal.warn(remark)
    with on_signals() as stop, lock.hold_folder(installation.folder, now=clock.host_now()):
        try:
            _run(installation, terminal, stop, with_demo=with_demo)
        except StartStopped as stopped:
            terminal.say(str(stopped))
        except PermissionError as error:
            raise data_folder.FolderUnusable(
                f"{error.filename} belongs to another user, who has run 'chronos up' in "
                f"{installation.folder} before. Give the whole folder to one user with chown."
            ) from error


def _run(
    installation: Installation, terminal: Terminal, stop: StopRequest, *, with_demo: bool
) -> None:
    """Start things in the order in which they need each other, and stop them in reverse.

    1. End the processes of an earlier start that was killed. Only then is the port known to be
       free.
    2. PostgreSQL, Valkey, migrations. The programs are loaded meanwhile, once for all of them.
    3. API, scheduler and worker, watched from here on like the servers.
    4. Make the administrator's account, print the banner, start the demo, and wait.
    """
    _end_orphans(installation.folder, terminal, stop)
    _check_address(installation)
    echo_port = installation.settings.api_port + 1
    with ExitStack() as running:
        echo_address = running.enter_context(echo.serve(echo_port)) if with_demo else None
        supervisor = Supervisor(say=terminal.warn, show_log=terminal.show_log, wait=stop.wait)
        # The fork server ends after the start, when the programs share little of its memory.
        with forking.serving() as fork_server:
            started, parts = _start(installation, running, supervisor, stop, fork_server)
            _wait_for_api(installation, parts, supervisor, stop)
            client = print_banner(
                installation, started, terminal, lambda it: _run_to_end(it, fork_server, stop)
            )
        if echo_address and client:
            running.enter_context(jobs.watch(client, echo_address, terminal, now=clock.host_now()))
        supervisor.run_until(lambda: stop.asked)
        terminal.say("Stopping; a second Ctrl-C does not wait for work in progress.")
    terminal.say(f"Stopped. The data stays in {installation.folder}.")


def _start(
    installation: Installation,
    running: ExitStack,
    supervisor: Supervisor,
    stop: StopRequest,
    fork_server: ForkServer,
) -> tuple[Servers, Sequence[Child]]:
    """Start servers and programs, to be stopped with ``running``."""
    started = running.enter_context(
        servers.start(
            installation.folder,
            connections=installation.connections,
            database_url=installation.given.get("DATABASE_URL"),
            redis_url=installation.given.get("REDIS_URL"),
            stop=stop,
        )
    )
    installation.connect(started)
    if "DATABASE_URL" in installation.given:
        _require_answer(settings.load().database_url)
    wait_until(fork_server.has_loaded, seconds=_SECONDS_TO_LOAD, stop=stop)
    _migrate(installation, fork_server, stop)
    supervisor.watch(started.children)
    parts = [Child(program, fork_server) for program in installation.programs()]
    running.callback(supervisor.stop, parts, stop)
    supervisor.start(parts)
    return started, parts


def _check_address(installation: Installation) -> None:
    ports.check_address(installation.settings.api_host, installation.settings.api_port)


def _end_orphans(data_dir: Path, terminal: Terminal, stop: StopRequest) -> None:
    if names := orphans.names(data_dir):
        terminal.warn(f"The last start was killed; waiting for its {', '.join(names)} to end.")
        orphans.end(data_dir, stop=stop)


def _require_answer(url: str) -> None:
    """Raise :class:`~availability.DatabaseUnusable` if the user's own database cannot be used."""
    # Only a user's own database needs this import, which takes megabytes.
    from chronos_common.storage.postgres import availability  # noqa: PLC0415 - see above
    from chronos_common.storage.postgres.database import connect  # noqa: PLC0415 - see above

    engine = connect(url, name="chronos-up", pool_size=1)
    try:
        availability.require_answer(engine)
    finally:
        engine.dispose()


def _migrate(installation: Installation, fork_server: ForkServer, stop: StopRequest) -> None:
    child = _run_to_end(installation.migration(), fork_server, stop)
    if child.exit_code() != 0:
        raise ChildFailed(
            f"The database could not be brought up to date:\n{child.last_lines(8)}\n"
            f"All of it is in {child.log.path}"
        )


def _run_to_end(program: Program, fork_server: ForkServer, stop: StopRequest) -> Child:
    child = Child(program, fork_server)
    child.start()
    try:
        wait_until(lambda: not child.is_running(), seconds=_SECONDS_TO_END, stop=stop)
    finally:
        child.stop()
    return child


def _wait_for_api(
    installation: Installation,
    parts: Sequence[Child],
    supervisor: Supervisor,
    stop: StopRequest,
) -> None:
    url = f"{installation.address}/health"
    if not supervisor.run_until(lambda: stop.asked or _answers(url), seconds=_SECONDS_TO_ANSWER):
        raise ChildFailed(
            f"The API did not answer {url} within {_SECONDS_TO_ANSWER} s:\n"
            f"{parts[0].last_lines(8)}\nAll of it is in {parts[0].log.path}"
        )
    if stop.asked:
        raise StartStopped


def _answers(url: str) -> bool:
    with requests.Session() as session:
        session.trust_env = False  # the API is on this machine, and needs no proxy
        try:
            return session.get(url, timeout=_HEALTH_TIMEOUT_SECONDS).ok
        except requests.RequestException:
            return False
