"""The statements on ``user_preferences``: how a user likes the dashboard."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, select, text
from sqlalchemy.dialects.postgresql import JSONB

from chronos_common.storage.tables import user_preferences


def find(connection: Connection, user_id: UUID) -> Mapping[str, Any]:
    """Return the stored preferences of the user, which may be empty."""
    query = select(user_preferences.c.preferences).where(user_preferences.c.user_id == user_id)
    found: Mapping[str, Any] | None = connection.execute(query).scalar_one_or_none()
    return found or {}


_STORE = text("""
    INSERT INTO user_preferences (user_id, preferences) VALUES (:user_id, :preferences)
    ON CONFLICT (user_id) DO UPDATE SET preferences = excluded.preferences""").bindparams(
    bindparam("preferences", type_=JSONB)
)


def store(connection: Connection, user_id: UUID, preferences: Mapping[str, Any]) -> None:
    """Replace the stored preferences of the user."""
    connection.execute(_STORE, {"user_id": user_id, "preferences": preferences})
