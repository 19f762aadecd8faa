"""Outages of PostgreSQL at a chosen moment."""

from typing import Any

import psycopg2
import pytest
from sqlalchemy import Engine


def lose_answer(engine: Engine, monkeypatch: pytest.MonkeyPatch, *, commits: bool = True) -> None:
    """Break the connection at the next commit, after PostgreSQL has committed or before."""

    def do_commit(connection: Any) -> None:
        monkeypatch.undo()
        if commits:
            connection.commit()
        connection.close()
        raise psycopg2.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(engine.dialect, "do_commit", do_commit)
