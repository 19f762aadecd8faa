"""The kinds of columns that many tables have."""

from typing import Any
from uuid import UUID

from sqlalchemy import Column, Computed, DateTime, ForeignKey, Text, Uuid
from sqlalchemy.types import TypeEngine

#: The type of instants.
MOMENT = DateTime(timezone=True)


def email_key_column() -> Column[str]:
    """Return the column of the address as it is compared, which no locale changes."""
    return Column(
        "email_key", Text, Computed('lower(email COLLATE "C")', persisted=True), nullable=False
    )


def id_column(name: str = "id", *, primary_key: bool = False) -> Column[UUID]:
    """Return a column of ids."""
    return Column(name, Uuid(), primary_key=primary_key, nullable=False)


def workspace_column(*, primary_key: bool = False) -> Column[UUID]:
    """Return the column of the workspace with which a row goes."""
    return Column(
        "workspace_id",
        Uuid(),
        ForeignKey("workspaces.id", ondelete="CASCADE"),
        primary_key=primary_key,
        nullable=False,
    )


def user_column(*, primary_key: bool = False) -> Column[UUID]:
    """Return the column of the user with whom a row goes."""
    key = ForeignKey("users.id", ondelete="CASCADE")
    return Column("user_id", Uuid(), key, primary_key=primary_key, nullable=False)


def required(kind: TypeEngine[Any], *names: str) -> list[Column[Any]]:
    """Return columns of one type that always have a value."""
    return [Column(name, kind, nullable=False) for name in names]


def optional(kind: TypeEngine[Any], *names: str) -> list[Column[Any]]:
    """Return columns of one type that may be null."""
    return [Column(name, kind) for name in names]
