"""A worker ends in order, whenever the signal to stop comes."""

import os
import subprocess
import sys
from pathlib import Path

# The signal comes when the port answers already, and Celery has set no handler yet.
STOPPED_EARLY = """
import os, signal, sys
from chronos_worker.service import Worker
run = Worker.run
def run_late(self):
    os.kill(os.getpid(), signal.SIGTERM)
    return run(self)
Worker.run = run_late
from chronos_common.cli import main
sys.argv = ["chronos", "worker"]
main()
"""


def test_a_signal_that_comes_early_stops_the_worker_in_order(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    """Fails without ``startup.hold_stop_signals``."""
    environment = {
        **os.environ,  # noqa: TID251 - the child's
        "CHRONOS_DATABASE_URL": database_url,
        "CHRONOS_REDIS_URL": redis_url,
        "CHRONOS_SECRET_KEY": "x" * 32,
        "CHRONOS_DATA_DIR": str(tmp_path),
        "CHRONOS_METRICS_PORT": "0",
        "CHRONOS_LOG_FORMAT": "json",
    }
    ended = subprocess.run(
        [sys.executable, "-c", STOPPED_EARLY],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "worker stopped" in ended.stdout + ended.stderr
