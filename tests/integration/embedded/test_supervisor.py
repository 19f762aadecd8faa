"""Children of ``chronos up``: started again, stopped in time, never left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from chronos_common.embedded import supervisor
from chronos_common.embedded.processes import child as child_module
from chronos_common.embedded.processes import lock, orphans
from chronos_common.embedded.processes.child import Child, ChildBusy, Program
from chronos_common.embedded.processes.lock import FolderInUse
from chronos_common.embedded.processes.logfile import LogFile
from chronos_common.embedded.processes.shutdown import (
    StartStopped,
    StopRequest,
    on_signals,
    wait_until,
)
from chronos_common.embedded.supervisor import Supervisor

SLEEP = "import time; print('started', flush=True); time.sleep(120)"
IGNORE_SIGTERM = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"
WITH_GRANDCHILD = f"""
import subprocess, sys
grandchild = subprocess.Popen([sys.executable, "-c", {IGNORE_SIGTERM!r}])
print(grandchild.pid, flush=True)
{SLEEP}
"""
SUPERVISOR = """
import sys, time
from pathlib import Path
from chronos_common.embedded.processes.child import Child, Program
command = [sys.executable, "-c", "import time; print('started', flush=True); time.sleep(120)"]
child = Child(Program(name="kept", command=command, folder=Path(sys.argv[1])))
child.start()
while child.last_lines(1) != "started":
    time.sleep(0.01)
print(child.pid, flush=True)
time.sleep(120)
"""


class Scene:
    """A supervisor whose words and log lines are kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.words: list[str] = []
        self.logged: list[tuple[str, str]] = []
        self.request = StopRequest()
        self.children: list[Child] = []
        self.supervisor = Supervisor(
            say=self.words.append, show_log=lambda name, line: self.logged.append((name, line))
        )

    def child(
        self,
        code: str,
        *,
        name: str = "child",
        stopping: Sequence[tuple[signal.Signals, float]] = ((signal.SIGTERM, 10.0),),
    ) -> Child:
        child = Child(
            Program(
                name=name,
                command=[sys.executable, "-c", code],
                folder=self.folder,
                stopping=stopping,
            )
        )
        self.children.append(child)
        return child

    def start(self, code: str, **options: object) -> Child:
        child = self.child(code, **options)  # type: ignore[arg-type]
        self.supervisor.start([child])
        return child

    def wait(self, condition: Callable[[], bool]) -> None:
        assert self.supervisor.run_until(condition, seconds=30)

    def wait_for_line(self, child: Child, line: str) -> None:
        self.wait(lambda: (child.name, line) in self.logged)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    for child in made.children:
        child.kill()


def lives(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_a_child_that_dies_starts_again_and_one_line_says_why(scene: Scene) -> None:
    child = scene.start(f"print('oops', flush=True); {SLEEP}")
    scene.wait_for_line(child, "started")
    first = child.pid
    os.kill(first, signal.SIGKILL)
    scene.wait(lambda: child.pid != first and child.is_running())
    death, rebirth = scene.words
    assert death.startswith(f"The child (process {first}) was killed by SIGKILL: started.")
    assert "It starts again in 0.5 s" in death
    assert str(scene.folder / "logs/child.log") in death
    assert rebirth == f"The child runs again (process {child.pid})."


def test_a_child_that_keeps_dying_waits_longer_each_time(scene: Scene) -> None:
    scene.start("import sys; sys.exit('the reason')")
    begun = time.monotonic()
    scene.wait(lambda: len([word for word in scene.words if "starts again" in word]) == 3)
    assert time.monotonic() - begun >= 0.5 + 1
    deaths = [word for word in scene.words if "starts again" in word]
    assert all("ended (1): the reason." in death for death in deaths)
    assert [death.split("again in ")[1].split(" s;")[0] for death in deaths] == ["0.5", "1", "2"]


def test_a_child_whose_remains_hold_its_lock_waits_for_them(scene: Scene) -> None:
    child = scene.start(WITH_GRANDCHILD)
    scene.wait_for_line(child, "started")
    with pytest.raises(ChildBusy):
        Child(child.program).start()


def test_what_a_dead_child_had_started_is_killed_before_it_starts_again(scene: Scene) -> None:
    child = scene.start(WITH_GRANDCHILD)
    scene.wait(lambda: len(scene.logged) >= 3)
    grandchild = next(int(line) for _, line in scene.logged if line.isdecimal())
    first = child.pid
    os.kill(first, signal.SIGKILL)
    scene.wait(lambda: child.pid != first and child.is_running())
    assert wait_until(lambda: not lives(grandchild), seconds=10)


def test_children_stop_together_at_their_signal(scene: Scene) -> None:
    slow_to_stop = """
import signal, sys, time
def stop(*_):
    time.sleep(2)
    print("finished", flush=True)
    sys.exit()
signal.signal(signal.SIGTERM, stop)
print("started", flush=True)
time.sleep(120)
"""
    children = [scene.start(slow_to_stop, name=name) for name in ("a", "b", "c")]
    for child in children:
        scene.wait_for_line(child, "started")
    begun = time.monotonic()
    scene.supervisor.stop(children, scene.request)
    # One after the other they would take six seconds.
    assert time.monotonic() - begun < 5
    assert all((child.name, "finished") in scene.logged for child in children)
    assert [child.exit_code() for child in children] == [0, 0, 0]
    assert scene.words == []


def test_a_child_that_ignores_its_signal_is_killed_after_its_grace(scene: Scene) -> None:
    child = scene.start(IGNORE_SIGTERM, stopping=[(signal.SIGTERM, 0.5)])
    scene.wait_for_line(child, "started")
    scene.supervisor.stop([child], scene.request)
    assert child.exit_code() == -signal.SIGKILL
    assert scene.words == ["The child did not stop in time and is killed."]


def test_asking_twice_does_not_wait_for_the_grace(scene: Scene) -> None:
    child = scene.start(IGNORE_SIGTERM, stopping=[(signal.SIGTERM, 60.0)])
    scene.wait_for_line(child, "started")
    scene.request.ask()
    scene.request.ask()
    begun = time.monotonic()
    scene.supervisor.stop([child], scene.request)
    assert time.monotonic() - begun < 20
    assert not lives(child.pid)


def test_stopping_ends_what_a_child_had_started(scene: Scene) -> None:
    child = scene.start(WITH_GRANDCHILD)
    scene.wait(lambda: len(scene.logged) >= 3)
    grandchild = next(int(line) for _, line in scene.logged if line.isdecimal())
    scene.supervisor.stop([child], scene.request)
    assert wait_until(lambda: not lives(grandchild), seconds=10)
    assert orphans.names(scene.folder) == []


def test_a_stopped_child_does_not_start_again(scene: Scene) -> None:
    child = scene.start(SLEEP)
    scene.wait_for_line(child, "started")
    scene.supervisor.stop([child], scene.request)
    scene.supervisor.tick()
    assert not child.is_running()
    assert scene.words == []


def test_ctrl_c_in_the_terminal_does_not_reach_a_child(scene: Scene) -> None:
    child = scene.start(SLEEP)
    scene.wait_for_line(child, "started")
    assert os.getpgid(child.pid) == child.pid != os.getpgid(0)
    assert os.getsid(child.pid) == child.pid


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children at once")
def test_a_child_ends_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SUPERVISOR, tmp_path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert orphans.names(tmp_path) == ["kept"]
        parent.kill()
    assert wait_until(lambda: orphans.names(tmp_path) == [], seconds=30)
    assert not lives(pid)


def test_leftovers_get_their_signal_and_the_stubborn_ones_are_killed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans, "_SECONDS_TO_STOP", 1)
    willing = scene.start(SLEEP, name="willing")
    stubborn = scene.start(IGNORE_SIGTERM, name="stubborn")
    for child in (willing, stubborn):
        scene.wait_for_line(child, "started")
    orphans.end(scene.folder)
    assert not willing.is_running()
    assert not stubborn.is_running()
    assert willing.exit_code() == -signal.SIGTERM
    assert stubborn.exit_code() == -signal.SIGKILL


def test_a_process_that_only_has_the_number_of_a_leftover_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with subprocess.Popen([sys.executable, "-c", SLEEP], stdout=subprocess.DEVNULL) as stranger:
        (tmp_path / "run/worker.lock").write_text(f"{stranger.pid} {signal.SIGKILL}\n")
        orphans.end(tmp_path)
        assert stranger.poll() is None
        stranger.kill()


def test_a_log_that_grew_too_large_is_moved_aside_while_its_child_writes(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "logs" / "child.log", max_bytes=1000)
    with os.fdopen(log.open_to_append(), "w") as child:
        child.write("first\n" + "x" * 1000 + "\n")
        child.flush()
        assert log.new_lines() == ["first", "x" * 1000]
        log.keep_small()
        assert log.size() == 0
        child.write("second\n")
        child.flush()
        assert log.new_lines() == ["second"]
        log.keep_small()
        assert log.path.read_text() == "second\n"
    assert (tmp_path / "logs/child.log.1").stat().st_size == 1000


def test_the_supervisor_keeps_logs_small(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "_LOG_CHECK_SECONDS", 0.2)
    monkeypatch.setattr(child_module, "LogFile", lambda path: LogFile(path, max_bytes=100))
    child = scene.start(f"print('x' * 200); {SLEEP}")
    scene.wait(lambda: scene.folder.joinpath("logs/child.log.1").exists())
    assert child.log.size() == 0


def test_half_a_line_is_shown_once_it_is_whole(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "logs" / "child.log")
    with os.fdopen(log.open_to_append(), "w") as child:
        for text, expected in [("ha", []), ("lf\nne", ["half"]), ("xt\n", ["next"]), ("", [])]:
            child.write(text)
            child.flush()
            assert log.new_lines() == expected


def test_a_folder_has_one_holder_and_a_second_is_told_who(tmp_path: Path) -> None:
    moment = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
    with (
        lock.hold_folder(tmp_path, now=moment),
        pytest.raises(FolderInUse, match=rf"process {os.getpid()}, since 2026-11-21T12:00:00"),
        lock.hold_folder(tmp_path, now=moment),
    ):
        pass
    with lock.hold_folder(tmp_path, now=moment):
        pass


def test_a_signal_asks_and_a_second_one_makes_it_urgent() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with on_signals() as request:
        assert not request.asked
        os.kill(os.getpid(), signal.SIGTERM)
        assert wait_until(lambda: request.asked, seconds=5)
        assert not request.urgent
        os.kill(os.getpid(), signal.SIGHUP)
        assert wait_until(lambda: request.urgent, seconds=5)
    assert signal.getsignal(signal.SIGTERM) is before


def test_waiting_ends_when_somebody_asks_to_stop() -> None:
    request = StopRequest()
    request.ask()
    with pytest.raises(StartStopped):
        wait_until(lambda: False, seconds=60, stop=request)
    with pytest.raises(StartStopped):
        wait_until(lambda: True, seconds=60, stop=request)
    assert not wait_until(lambda: False, seconds=0)


def test_a_wait_ends_with_the_end_of_a_child_and_with_a_signal() -> None:
    begun = time.monotonic()
    with on_signals() as request:
        ended = subprocess.Popen([sys.executable, "-c", ""])
        request.wait(60)
        ended.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        request.wait(60)
        assert request.asked
    assert time.monotonic() - begun < 60


def test_a_child_that_dies_ends_the_rest_of_its_supervisor(tmp_path: Path) -> None:
    waits: list[float] = []
    with on_signals() as request:

        def wait(seconds: float) -> None:
            waits.append(seconds)
            request.wait(seconds)

        said: list[str] = []
        watching = Supervisor(say=said.append, show_log=lambda *_: None, wait=wait)
        program = Program(name="short", command=[sys.executable, "-c", ""], folder=tmp_path)
        child = Child(program)
        watching.start([child])
        try:
            watching.run_until(lambda: any("runs again" in each for each in said))
        finally:
            child.stop()
    # It rests for long while all is well, and no longer than until the child starts again.
    assert max(waits) == supervisor._REST_SECONDS
    assert any(0 < each <= supervisor.FIRST_DELAY_SECONDS for each in waits)


def test_a_supervisor_looks_again_soon_while_a_child_logs(scene: Scene) -> None:
    waits: list[float] = []
    logs = "import time; print('a line', flush=True); time.sleep(600)"
    child = scene.start(logs)
    scene.wait_for_line(child, "a line")
    scene.supervisor._wait = waits.append
    scene.supervisor.run_until(lambda: len(waits) == 1)
    assert waits == [supervisor._REST_SECONDS]
    with child.log.path.open("a") as log:
        log.write("another\n")
    scene.supervisor.run_until(lambda: len(waits) == 2)
    assert waits[1] == supervisor._LOGGING_SECONDS
