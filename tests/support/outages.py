"""Outages at a chosen moment: of PostgreSQL, and of what the system gives a worker."""

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import psycopg2
import pytest
from sqlalchemy import Engine

from chronos_worker.transfers import curl_handle


def lose_answer(engine: Engine, monkeypatch: pytest.MonkeyPatch, *, commits: bool = True) -> None:
    """Break the connection at the next commit, after PostgreSQL has committed or before."""

    def do_commit(connection: Any) -> None:
        monkeypatch.undo()
        if commits:
            connection.commit()
        connection.close()
        raise psycopg2.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(engine.dialect, "do_commit", do_commit)


@contextmanager
def no_sockets(*, but: int = 0) -> Iterator[None]:
    """Let requests have no socket while the block lasts, ``but`` the first so many."""
    left = [socket.socket] * but

    def make(*arguments: Any) -> socket.socket:
        if left:
            return left.pop()(*arguments)
        raise OSError(errno.EMFILE, "Too many open files")

    with pytest.MonkeyPatch.context() as patched:
        exhausted = SimpleNamespace(**vars(socket) | {"socket": make})
        patched.setattr(curl_handle, "socket", exhausted)
        yield
