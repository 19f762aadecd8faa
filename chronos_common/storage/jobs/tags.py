"""The statements on the tags of jobs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

#: Counting looks at so many jobs at most, the newest ones.
MAX_LOOKED_AT = 100_000

# As JSON, because the arrays of an array have to be of one length.
_SET = text("""
    UPDATE jobs j SET tags = ARRAY(SELECT jsonb_array_elements_text(t.tags)),
                      version = version + 1, updated_at = :now
      FROM jsonb_to_recordset(CAST(:tags AS jsonb)) AS t (id uuid, tags jsonb)
     WHERE j.id = t.id""")


def replace(connection: Connection, tags: Mapping[UUID, Sequence[str]], *, now: datetime) -> None:
    """Replace the tags of locked jobs, as a new version of each."""
    rows = [{"id": str(job_id), "tags": list(each)} for job_id, each in tags.items()]
    connection.execute(_SET, {"tags": json.dumps(rows), "now": now})


@dataclass(frozen=True, slots=True)
class TagCount:
    """How many jobs have a tag."""

    tag: str
    jobs: int


@dataclass(frozen=True, slots=True)
class TagCounts:
    """The most frequent tags. ``is_exact`` tells whether every job was looked at."""

    items: Sequence[TagCount]
    is_exact: bool


_COUNT = text("""
    WITH newest AS MATERIALIZED (
        SELECT tags FROM jobs
         WHERE workspace_id = :workspace_id AND deleted_at IS NULL
         ORDER BY id DESC LIMIT :most)
    SELECT tag, count(*) AS jobs, (SELECT count(*) FROM newest) AS looked_at
      FROM newest CROSS JOIN unnest(newest.tags) AS tag
     WHERE starts_with(lower(tag), lower(CAST(:prefix AS text)))
     GROUP BY tag ORDER BY jobs DESC, tag LIMIT :limit""")


def count(connection: Connection, workspace_id: UUID, *, prefix: str, limit: int) -> TagCounts:
    """Return the tags that begin with ``prefix``, the most frequent first.

    Small and capital letters are the same. Of a workspace with more than :data:`MAX_LOOKED_AT`
    jobs, only the newest ones are counted.
    """
    parameters = {
        "workspace_id": workspace_id,
        "prefix": prefix,
        "limit": limit,
        "most": MAX_LOOKED_AT,
    }
    rows = connection.execute(_COUNT, parameters).all()
    is_exact = not rows or rows[0].looked_at < MAX_LOOKED_AT
    return TagCounts([TagCount(row.tag, row.jobs) for row in rows], is_exact)
