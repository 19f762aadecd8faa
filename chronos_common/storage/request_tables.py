"""The tables that serve single requests of the API: rows that do not live long."""

from sqlalchemy import Column, DateTime, Float, ForeignKey, SmallInteger, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import JSON, JSONB

from chronos_common.storage.tables import metadata

_MOMENT = DateTime(timezone=True)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column(
        "workspace_id",
        Uuid(),
        ForeignKey("workspaces.id", ondelete="CASCADE"),
        primary_key=True,
        nullable=False,
    ),
    Column(
        "user_id",
        Uuid(),
        ForeignKey("users.id", ondelete="CASCADE"),
        primary_key=True,
        nullable=False,
    ),
    Column("key", Text, primary_key=True, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("created_at", _MOMENT, nullable=False),
    Column("finished_at", _MOMENT),
    Column("status", SmallInteger),
    Column("headers", JSONB),
    Column("body", Text),
)

test_runs = Table(
    "test_runs",
    metadata,
    Column("id", Uuid(), primary_key=True, nullable=False),
    Column(
        "workspace_id",
        Uuid(),
        ForeignKey("workspaces.id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("type", Text, nullable=False),
    Column("payload", JSON, nullable=False),
    Column("timeout_seconds", Float, nullable=False),
    Column("status", Text, nullable=False),
    Column("result", JSON(none_as_null=True)),
    Column("created_at", _MOMENT, nullable=False),
    Column("expires_at", _MOMENT, nullable=False),
)
