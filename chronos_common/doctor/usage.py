"""The largest users of this installation: workspaces near a quota, and foreign keys in Redis."""

import re
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any

from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import Engine

from chronos_common.doctor.findings import Finding, fine, warning
from chronos_common.domain.queues import ALL
from chronos_common.settings import Settings
from chronos_common.storage import quotas
from chronos_common.storage.postgres.database import transaction

#: Workspaces that are named.
MOST_NAMED = 5

#: Keys of Redis that are looked at, and those that are named.
_MOST_KEYS = 20_000
_MOST_LARGE = 3
_LARGE_BYTES = 1024 * 1024

#: The queues of Chronos, and the other keys of Chronos, kombu and limits.
_OWN_KEYS = re.compile(
    rf"(?:{'|'.join(ALL)})(?:\x06\x16\d)?|chronos:.*|LIMITS:.*|_kombu\..*|unacked.*", re.DOTALL
)


def bounds(engine: Engine, settings: Settings, *, now: datetime) -> Iterator[Finding]:
    """Check which workspaces use most of a quota."""
    with transaction(engine) as connection:
        near = quotas.near_bounds(connection, settings=settings, now=now, most=MOST_NAMED)
    if not near:
        yield fine("quotas", "No workspace uses most of a quota.")
    for each in near:
        use = each.use
        yield warning(
            "quotas",
            f"The workspace {each.name!r} ({each.workspace_id}) uses {use.used:,} of "
            f"{use.bound:,} {use.quota.unit} (quota {use.quota.name}).",
            "At the bound, requests of this workspace that need more are refused. If it shall "
            "have more, the operator raises it: PUT /api/v1/admin/workspaces/"
            f"{each.workspace_id}/quotas.",
        )


def foreign_keys(client: Redis) -> Iterator[Finding]:
    """Check whether something that is not Chronos's fills Redis."""
    try:
        sizes = _foreign_sizes(client)
    except RedisError as error:
        yield warning(
            "redis keys",
            f"Redis does not say what fills it: {error}",
            "Let its user run SCAN and MEMORY USAGE.",
        )
        return
    large = [each for each in sorted(sizes, reverse=True) if each[0] >= _LARGE_BYTES]
    if large:
        shown = ", ".join(
            f"{name!r} ({size / _LARGE_BYTES:,.0f} MiB)" for size, name in large[:_MOST_LARGE]
        )
        yield warning(
            "redis keys",
            f"Redis holds large keys that are not Chronos's: {shown}.",
            "Give what writes them a Redis of its own: a full Redis stops every job.",
        )


def _foreign_sizes(client: Redis) -> list[tuple[int, str]]:
    names = islice(client.scan_iter(count=1000), _MOST_KEYS)
    foreign = [name for name in names if not _OWN_KEYS.fullmatch(_text(name))]
    with client.pipeline(transaction=False) as pipe:
        for name in foreign:
            pipe.memory_usage(name)
        sizes = pipe.execute()
    return [(size or 0, _text(name)) for size, name in zip(sizes, foreign, strict=True)]


def _text(name: Any) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else str(name)
