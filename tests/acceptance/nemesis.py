"""``python -m tests.acceptance.nemesis --minutes 10 --seed 1``: all faults, mixed at random.

Not collected by pytest. Runs an installation at default settings under a steady load, injects
fault after fault, and ends with the account of every occurrence; the exit code says whether all
figures are zero. ``--soak`` injects none. Both report memory, file descriptors and connections of
every kind of process once a minute.
"""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from acceptance.faults.faults import ALL
from acceptance.faults.load import Load
from acceptance.faults.stage import Stage, stage
from acceptance.faults.triggers import Triggers
from acceptance.faults.usage import usage_of

#: What may be asked again after all those faults, in parts of everything.
REPEATED = 0.2

_SETTINGS = {"WORKER_TIMEOUT_SECONDS": "15", "SWEEP_INTERVAL_SECONDS": "300"}


def main() -> int:
    """Run, and return 0 if nothing was lost."""
    options = _options()
    _say(f"seed {options.seed}")
    with (
        tempfile.TemporaryDirectory(prefix="nemesis-") as folder,
        stage(Path(folder), durable=True, proxied=True, **_SETTINGS) as installation,
    ):
        load = installation.begin(per_second=options.per_second)
        with Triggers(installation) as triggers:
            _torment(installation, options)
            installation.until(triggers.is_answered, within=60)
        return _judge(installation, load, triggers)


def _say(text: object) -> None:
    print(text, flush=True)  # noqa: T201 - a command's output


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="nemesis", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--per-second", type=int, default=100)
    parser.add_argument("--soak", action="store_true", help="inject no faults")
    return parser.parse_args()


def _torment(installation: Stage, options: argparse.Namespace) -> None:
    """Inject fault after fault until the time is over; each is given time to be overcome."""
    chance = random.Random(options.seed)  # noqa: S311 - not a secret
    began = time.monotonic()
    reported = began
    while (now := time.monotonic()) - began < options.minutes * 60:
        if now - reported >= 60:
            reported = now
            _say(f"{(now - began) / 60:5.1f} min  {usage_of(installation)}")
        if options.soak:
            installation.wait(1)
            continue
        name, fault = chance.choice(sorted(ALL.items()))
        started = time.monotonic()
        fault(installation, chance)
        took = time.monotonic() - started
        # Sometimes the next fault comes before this one was overcome.
        if chance.random() < 0.7:
            recovered = f"recovered after {installation.recover(within=90):.1f} s"
        else:
            installation.wait(chance.uniform(0, 5))
            recovered = "not waited for"
        _say(f"{(started - began) / 60:5.1f} min  {name} ({took:.1f} s), {recovered}")


def _judge(installation: Stage, load: Load, triggers: Triggers) -> int:
    account = installation.end(load, within=180)
    _say(account)
    _say(f"processes that ended by themselves: {installation.fleet.deaths}")
    triggers.assert_all_ran(within=60)
    account.assert_nothing_lost(within=180, repeated=int(account.expected * REPEATED))
    _say("nothing was lost")
    return 0


if __name__ == "__main__":
    sys.exit(main())
