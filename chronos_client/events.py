"""The live events of a workspace (server-sent events, WHATWG HTML section 9.2)."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import requests

from chronos_client.errors import ServerAway
from chronos_client.transport import Transport

#: The server sends something every few seconds. After this silence the connection is dead.
_SILENCE_SECONDS = 45.0
#: Bound of a line. An event of the server is far shorter.
_MAX_LINE_BYTES = 1024 * 1024
#: Read as it comes: more would wait for the next event where the answer is not chunked.
_CHUNK_BYTES = 1


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """An event: ``stats``, ``changes`` or ``reset``. A ``heartbeat`` has no data."""

    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)
    #: Where to go on, as ``last_event_id``.
    id: str | None = None


class EventStream:
    """The live events of a workspace."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def listen(
        self, *, last_event_id: str | None = None, heartbeats: bool = False
    ) -> Iterator[ServerEvent]:
        """Yield the events as they come, until the server ends the stream, about hourly.

        Listen again with the ``id`` of the last one to miss none. With ``heartbeats``, signs of
        life are yielded, too. Raises :class:`ServerAway` if the connection breaks.
        """
        headers = {"Accept": "text/event-stream"}
        if last_event_id:
            headers["Last-Event-ID"] = last_event_id
        answer = self._transport.stream("/events", headers=headers, read_seconds=_SILENCE_SECONDS)
        with answer:
            for event in _events(_lines(answer)):
                if heartbeats or event.kind != "heartbeat":
                    yield event


def _events(lines: Iterator[str]) -> Iterator[ServerEvent]:
    fields: dict[str, str] = {}
    for line in lines:
        if line.startswith(":"):
            yield ServerEvent("heartbeat")
        elif line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        else:
            if "data" in fields:
                yield ServerEvent(
                    fields.get("event", "message"), json.loads(fields["data"]), fields.get("id")
                )
            fields = {}


def _lines(answer: requests.Response) -> Iterator[str]:
    rest = b""
    try:
        for chunk in answer.iter_content(_CHUNK_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (line.rstrip(b"\r").decode() for line in lines)
            if len(rest) > _MAX_LINE_BYTES:
                raise ServerAway("An event is longer than 1 MiB. Check the address.")
    except requests.RequestException as error:
        raise ServerAway("The stream of events broke off. Listen again.") from error
