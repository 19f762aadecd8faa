"""The examination: its checks in their order, and how the findings are shown."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import NoReturn

import click
from redis import Redis
from sqlalchemy import Engine

from chronos_common import broker, clock, setting_types, settings
from chronos_common.doctor import cluster, disk, servers, usage
from chronos_common.doctor.api import api
from chronos_common.doctor.cluster import Cluster
from chronos_common.doctor.findings import (
    EXIT_CODES,
    Check,
    Finding,
    Level,
    collect,
    problem,
    worst,
)
from chronos_common.domain.texts import visible
from chronos_common.embedded import data_folder
from chronos_common.settings import Settings
from chronos_common.storage.postgres.database import connect, measure_clock, transaction

#: Values for required settings that no check uses.
_STAND_INS = {"SECRET_KEY": "-" * setting_types.MIN_SECRET_BYTES}

_WIDTH = len("queue notifications")

_DEFAULT_PLACE = "~/.chronos"

_COLOURS = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "red"}


def run(data_dir: Path | None, *, as_json: bool) -> None:
    """Examine an installation, print the findings, and exit with the code of the worst one."""
    place = Path(data_dir or settings.given("DATA_DIR") or _DEFAULT_PLACE).expanduser()
    remembered = data_folder.remembered(place)
    if not remembered and settings.given("DATABASE_URL") is None:
        raise click.UsageError(
            f"There is no installation to look at: no 'chronos up' has kept its data in {place}. "
            "Name its folder with --data-dir, or set CHRONOS_DATABASE_URL and CHRONOS_REDIS_URL."
        )
    is_of_up = "DATABASE_URL" in remembered and settings.given("DATABASE_URL") is None
    settings.export_missing(remembered | _STAND_INS)
    loaded = settings.load()
    for remark in settings.remarks():
        click.echo(f"Warning: {visible(remark)}", err=True)
    engine = connect(loaded.database_url, name="chronos-doctor", pool_size=1)
    client = broker.connect_redis(loaded.redis_url)
    queues = broker.Broker(loaded.redis_url)
    try:
        data = place if is_of_up else None
        findings = list(examine(engine, client, queues, loaded, data=data))
        findings += api(settings.given("PUBLIC_URL"))
    finally:
        queues.close()
        client.close()
        engine.dispose()
    _show(_of_up(findings, place) if is_of_up else findings, as_json=as_json)


def _of_up(findings: Sequence[Finding], place: Path) -> Sequence[Finding]:
    """Return the findings, or one in their place if the 'chronos up' in ``place`` is stopped."""
    first = findings[0]
    if (first.topic, first.level) != ("database", Level.PROBLEM):
        return findings
    is_default = place == Path(_DEFAULT_PLACE).expanduser()
    command = "chronos up" if is_default else f"chronos up --data-dir {place}"
    says = f"It is stopped in {place}, or about to start: its PostgreSQL does not answer."
    return [problem("chronos up", says, f"Start it with '{command}'. Its data is there.")]


def _show(findings: Sequence[Finding], *, as_json: bool) -> NoReturn:
    click.echo(_as_json(findings) if as_json else _as_text(findings))
    sys.exit(EXIT_CODES[worst(findings)])


def examine(
    engine: Engine,
    client: Redis,
    queues: broker.Broker,
    loaded: Settings,
    *,
    data: Path | None = None,
) -> Iterator[Finding]:
    """Yield the findings of every check. Without PostgreSQL, skip the checks that read from it.

    ``data`` is a folder on the disk of PostgreSQL, if that is on this machine.
    """
    found = list(collect([("database", partial(servers.database, engine))]))
    yield from found
    of_redis = list(collect([("redis", partial(servers.redis, client))]))
    yield from of_redis
    if worst(of_redis) is not Level.PROBLEM:
        yield from collect([("redis keys", partial(usage.foreign_keys, client))])
    if any(each.level is Level.PROBLEM and each.topic in _NEEDED for each in found):
        return
    with transaction(engine) as connection:
        clock.correct_by(measure_clock(connection))
    retention, now = timedelta(days=loaded.retention_days), clock.now()
    seen = Cluster(
        engine, queues, worker_timeout=loaded.worker_timeout, retention=retention, now=now
    )
    checks: list[tuple[str, Check]] = [
        ("clock", partial(servers.clock, engine)),
        ("time zones", partial(servers.zones, engine)),
        ("processes", partial(cluster.processes, seen)),
        ("queues", partial(cluster.queues, seen)),
        ("planning", partial(cluster.lateness, seen)),
        ("partitions", partial(cluster.storage, seen)),
        ("disk", partial(disk.disk, engine, retention=retention, now=now, folder=data)),
        ("notifications", partial(cluster.mail, seen)),
        ("outcomes", partial(cluster.outcomes, seen)),
        ("quotas", partial(usage.bounds, engine, loaded, now=now)),
    ]
    yield from collect(checks)


_NEEDED = {"database", "schema"}


def _as_json(findings: Sequence[Finding]) -> str:
    answer = {"status": worst(findings), "findings": [asdict(each) for each in findings]}
    return json.dumps(answer, indent=2)


def _as_text(findings: Sequence[Finding]) -> str:
    lines = []
    for each in findings:
        level = click.style(f"{each.level.upper():8}", fg=_COLOURS[each.level])
        lines.append(f"{level} {each.topic:{_WIDTH}} {visible(each.says)}")
        if each.remedy:
            lines.append(f"{'':8} {'':{_WIDTH}} -> {visible(each.remedy)}")
    return "\n".join([*lines, "", _SUMMARIES[worst(findings)]])


_SUMMARIES = {
    Level.OK: "All is well.",
    Level.WARNING: "Jobs run; see the warnings.",
    Level.PROBLEM: "Something keeps jobs from running; see the problems.",
}
