"""Outages at a chosen moment: of PostgreSQL, and of what the system gives a worker."""

import errno
import os
import resource
import socket
import threading
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


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Let this process open no file and no socket while the block lasts."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The system gives the lowest free number, and refuses one that is not below the limit.
    lowest = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@contextmanager
def no_threads() -> Iterator[None]:
    """Let no thread start while the block lasts."""

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        yield


@contextmanager
def no_ports() -> Iterator[None]:
    """Let TCP find no free port for a connection while the block lasts."""
    connect = socket.socket.connect

    def refuse(connection: socket.socket, address: Any) -> None:
        if connection.type == socket.SOCK_STREAM:
            raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
        connect(connection, address)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(socket.socket, "connect", refuse)
        yield
