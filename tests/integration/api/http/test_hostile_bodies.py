"""However hostile a body or a query of a megabyte is, it costs little, and so does its answer.

The time is that of the processor in this thread, which other load does not lengthen.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import Engine

from chronos_api.jobs.schemas import JobFields
from integration.api.callers import Caller, job, register
from integration.api.route_table import BODIES

SIZE = 1_000_000
#: Ten times as much as one request takes on an ordinary machine, which is less than 0.15 s.
SECONDS = 1.5
MOST_BYTES = 100_000


def filled(head: str, part: str, tail: str) -> bytes:
    return (head + part * ((SIZE - len(head) - len(tail)) // len(part)) + tail).encode()


def names(count: int) -> str:
    return ",".join(f'"{number}":0' for number in range(count))


BODIES_OF_A_MEGABYTE = {
    "objects": filled('{"email":[', "{},", "{}]}"),
    "lists": filled('{"email":[', "[],", "[]]}"),
    "nested": filled('{"email":[', '{"a":[]},', "0]}"),
    "whole numbers": filled('{"email":[', "1,", "1]}"),
    "negative zeros": filled('{"email":[', "-0,", "1]}"),
    "exponents": filled('{"email":[', "1e9,", "1]}"),
    "large exponents": filled('{"email":[', "1e308,", "1]}"),
    "fractions": filled('{"email":[', "0.1,", "1]}"),
    "long fractions": filled('{"email":[', "0.1234567890123456,", "1]}"),
    "texts": filled('{"email":[', '"",', '""]}'),
    "many names": f"{{{names(90_000)}}}".encode(),
    "repeated names": f"{{{names(60_000)},{names(30_000)}}}".encode(),
    "one name": filled('{"a":0,', '"a":0,', '"a":0}'),
    "a long name": filled('{"', "x", '":0}'),
    "a long text": filled('{"email":"', "x", '"}'),
    "an address of dots": filled('{"email":"', "a.", '@example.com"}'),
    "an address of ats": filled('{"email":"', "@", '"}'),
    "a long password": filled('{"email":"a@example.com","password":"', "x", '"}'),
    "wide text": filled('{"email":"', "\\ud83d\\ude00", '"}'),
    "surrogates": filled('{"email":"', "\\ud800", '"}'),
    "control characters": filled('{"email":"', "\\u0001", '"}'),
    "a long number": filled('{"email":', "1", "}"),
    "a long fraction": filled('{"email":1.', "1", "}"),
    "a huge exponent": filled('{"email":1e', "9", "}"),
    "many long numbers": filled('{"email":[', "1" * 4000 + ",", "1]}"),
    "not a number": filled('{"email":[', "NaN,", "1]}"),
    "deep lists": filled("", "[", ""),
    "deep objects": filled("", '{"a":', ""),
    "deep and closed": b"[" * 499_999 + b"]" * 499_999,
    "white space": filled('{"email":', " ", "1}"),
    "no end": filled('{"email":"', "x", ""),
    "NUL": filled("", "\0", ""),
}


def cost(send: Callable[[], Any]) -> tuple[float, Any]:
    started = time.thread_time()
    answer = send()
    return time.thread_time() - started, answer


def check(seconds: float, answer: Any) -> None:
    assert 400 <= answer.status_code < 500, answer.text[:300]
    assert len(answer.data) < MOST_BYTES
    assert len(answer.json.get("errors", [])) <= 50
    assert seconds < SECONDS


@pytest.mark.parametrize("body", BODIES_OF_A_MEGABYTE.values(), ids=BODIES_OF_A_MEGABYTE.keys())
@pytest.mark.parametrize("path", ["auth/login", "auth/register"])
def test_a_stranger_cannot_make_a_body_expensive(app: Flask, path: str, body: bytes) -> None:
    client = app.test_client()
    send = {"data": body, "content_type": "application/json"}
    check(*cost(lambda: client.post(f"/api/v1/{path}", **send)))


VALUES: dict[str, Any] = {
    "texts": [""] * 200_000,
    "numbers": [0] * 300_000,
    "names": {f"n{number}": "" for number in range(70_000)},
    "lists": [[]] * 40_000,
    "objects": [{}] * 40_000,
    "a text": "x" * 900_000,
    "ats": "@" * 900_000,
    "stars": "*/" * 400_000,
    "commas": "1," * 400_000,
    "digits": "1" * 900_000,
    "spaces": " " * 900_000,
    "accents": "\u0301" * 100_000,
}
PAYLOADS = {
    "webhook": {"url": "https://example.com"},
    "email": {"to": ["a@example.com"], "subject": "s"},
    "celery_task": {"task": "a.b"},
}
PAYLOAD_FIELDS = {
    "webhook": ["url", "headers", "params", "body_base64", "success_statuses", "method", "more"],
    "email": ["to", "cc", "bcc", "subject", "reply_to"],
    "celery_task": ["task", "args", "kwargs", "queue"],
}


def hostile_bodies() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the method and the rule of every route with a body, with each field made hostile."""
    for (method, rule), body in BODIES.items():
        assert isinstance(body, dict)
        for field in [*body, *(JobFields().fields if rule == "/api/v1/jobs" else ()), "unknown"]:
            yield method, rule, {**body, field: ...}
    for kind, payload in PAYLOADS.items():
        for field in PAYLOAD_FIELDS[kind]:
            yield "POST", "/api/v1/jobs", job(type=kind, payload={**payload, field: ...})


CASES = list(hostile_bodies())


def with_value(body: Any, value: Any) -> Any:
    """Return ``body`` with ``value`` in the place of its ellipsis."""
    if isinstance(body, dict):
        return {name: with_value(each, value) for name, each in body.items()}
    return value if body is ... else body


@pytest.fixture(scope="module")
def owner(app: Flask, db: Engine) -> Caller:
    return register(app, db)


def test_no_route_makes_a_body_expensive(app: Flask, owner: Caller) -> None:
    client = app.test_client()
    headers = {"Authorization": f"Bearer {owner.token}", "Content-Type": "application/json"}
    slow: list[str] = []
    encoded = [(kind, json.dumps(value)) for kind, value in VALUES.items()]
    for number, (method, rule, body) in enumerate(CASES):
        # Each field gets two of the values in turn, so that each route gets all or most of them.
        for kind, value in (encoded[2 * number % len(encoded)], encoded[-number % len(encoded)]):
            content = json.dumps(with_value(body, "~~~")).replace('"~~~"', value)
            place = rule.replace("<name:name>", "a")
            path = re.sub("<uuid:[a-z_]+>", str(uuid4()), place)
            send = partial(client.open, path, method=method, data=content, headers=headers)
            seconds, answer = cost(send)
            case = f"{method} {rule} {json.dumps(body, default=str)[:200]} {kind}"
            assert answer.status_code < 500, (case, answer.text[:300])
            assert len(answer.data) < (MOST_BYTES if answer.status_code >= 400 else 4 * SIZE), case
            if seconds > SECONDS:
                slow.append(f"{case}: {seconds:.2f} s")
    assert slow == []
