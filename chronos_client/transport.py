"""Requests to the API: credentials, bounds, and what is sent again.

1. Each POST has an ``Idempotency-Key`` of its own, the same each time that it is sent again. The
   server then acts once.
2. An answer 429 or 503 is awaited as its ``Retry-After`` says, and the request is sent again.
   A 429 without one is a used-up quota, which waiting alone does not help.
3. A request whose answer was lost is sent again if that is safe: GET, PUT, and POST by its key.
4. All waits of one request together have a bound.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import requests
from requests.auth import AuthBase

from chronos_client.errors import ClientError, ServerAway, problem

_PREFIX = "/api/v1"
_CONNECT_SECONDS = 5.0
#: Bound of an answer. The largest that the API gives has 10 MiB.
_MAX_BYTES = 32 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024

#: The first wait without a ``Retry-After``. Each further one is twice as long.
_FIRST_WAIT_SECONDS = 0.5
#: Statuses that a later request may not get.
_LATER = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
#: Says that the first request with this key, whose answer was lost, is still being handled.
_UNDER_WAY = b"Idempotency-Key has not ended"
#: Methods that do the same when they are sent again. A POST does by its key.
_REPEATABLE = ("GET", "PUT", "POST")


@dataclass(frozen=True, slots=True)
class ApiReply:
    """An answer of the API that is no error."""

    status: int
    headers: Mapping[str, str]
    content: Any


class _Credentials(AuthBase):
    """Sends the key. As ``auth``, because a header would lose against a ``.netrc``."""

    def __init__(self, key: str | None, workspace: str | None) -> None:
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        if workspace:
            self._headers["X-Workspace"] = workspace

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(self._headers)
        return request


class Transport:
    """Sends requests to one server, with one key. Not for use by several threads at once."""

    def __init__(
        self,
        url: str,
        key: str | None,
        *,
        workspace: str | None = None,
        retry_seconds: float = 60.0,
        timeout_seconds: float = 60.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = checked(url)
        self._retry_seconds = retry_seconds
        self._timeout_seconds = timeout_seconds
        self._sleep = sleep
        self._session = requests.Session()
        self._session.auth = _Credentials(key, workspace)
        self._session.headers["Accept"] = "application/json"

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        prefix: str = _PREFIX,
    ) -> ApiReply:
        """Return the answer. Raises :class:`ServerAway` or :class:`ApiProblem`."""
        sent = dict(headers or {})
        if method == "POST":
            sent.setdefault("Idempotency-Key", str(uuid4()))
        waits = _Waits(self._retry_seconds)
        is_lost = False
        while True:
            try:
                answer = self._session.request(
                    method,
                    self.url + prefix + path,
                    json=body,
                    params=_texts(query or {}),
                    headers=sent,
                    timeout=(min(_CONNECT_SECONDS, self._timeout_seconds), self._timeout_seconds),
                    allow_redirects=False,
                    stream=True,
                )
                content = _content(answer)
            except requests.RequestException as error:
                wait = waits.next(None) if method in _REPEATABLE and _may_pass(error) else None
                if wait is None:
                    raise self._away(error) from error
                is_lost = True
            else:
                wait = self._wait_before_again(answer, content, waits, is_lost=is_lost)
                if wait is None:
                    return self._checked_reply(answer, content)
            self._sleep(wait)

    def stream(
        self, path: str, *, headers: Mapping[str, str], read_seconds: float
    ) -> requests.Response:
        """Return an answer whose body is read as it comes. The caller closes it.

        Raises :class:`ServerAway` or :class:`ApiProblem`.
        """
        try:
            answer = self._session.get(
                self.url + _PREFIX + path,
                headers=dict(headers),
                timeout=(_CONNECT_SECONDS, read_seconds),
                allow_redirects=False,
                stream=True,
            )
        except requests.RequestException as error:
            raise self._away(error) from error
        if answer.status_code != HTTPStatus.OK:
            try:
                self._checked_reply(answer, _content(answer))
            except requests.RequestException as error:
                raise self._away(error) from error
        return answer

    def _wait_before_again(
        self, answer: requests.Response, content: bytes, waits: "_Waits", *, is_lost: bool
    ) -> float | None:
        """Return how long to wait before the request is sent again, or None for never."""
        status = answer.status_code
        if status == HTTPStatus.CONFLICT and is_lost and _UNDER_WAY in content:
            return waits.next(None)
        if status not in _LATER:
            return None
        after = answer.headers.get("Retry-After")
        if after is None and status == HTTPStatus.TOO_MANY_REQUESTS:
            return None
        return waits.next(after)

    def _checked_reply(self, answer: requests.Response, content: bytes) -> ApiReply:
        document = self._document(answer, content)
        if answer.ok and not answer.is_redirect:
            return ApiReply(answer.status_code, answer.headers, document)
        if answer.is_redirect or not isinstance(document, dict) or "title" not in document:
            raise ServerAway(_foreign(self.url, answer))
        if answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            detail = document.get("detail") or document["title"]
            raise ServerAway(f"{self.url} cannot answer now: {detail}")
        raise problem(answer.status_code, document)

    def _document(self, answer: requests.Response, content: bytes) -> Any:
        if not content:
            return None
        try:
            return json.loads(content)
        except ValueError as error:
            raise ServerAway(_foreign(self.url, answer)) from error

    def _away(self, error: requests.RequestException) -> ServerAway:
        return ServerAway(
            f"{self.url} does not answer: {_cause(error)}. "
            "Check the address ('chronos profiles') and whether the server runs."
        )


class _Waits:
    """The waits of one request: how long the next one is, within a bound for all."""

    def __init__(self, bound: float) -> None:
        self._left = bound
        self._usual = _FIRST_WAIT_SECONDS

    def next(self, retry_after: str | None) -> float | None:
        """Return the seconds of the next wait, or None if the bound leaves no time for it."""
        asked = float(retry_after) if retry_after and retry_after.isdecimal() else self._usual
        self._usual *= 2
        if asked > self._left:
            return None
        self._left -= asked
        return asked


def checked(url: str) -> str:
    """Return a server's address without a slash at its end. Raises :class:`ClientError`."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ClientError(
            f"{url!r} is no address of a server. Give one like http://127.0.0.1:8080."
        )
    if parts.username or parts.password:
        raise ClientError("The address must have no password. The key is given apart from it.")
    return url.rstrip("/").removesuffix(_PREFIX)


def _texts(query: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that have a value, instants as RFC 3339."""
    return {
        name: value.isoformat() if hasattr(value, "isoformat") else value
        for name, value in query.items()
        if value is not None
    }


def _content(answer: requests.Response) -> bytes:
    content = b""
    with answer:
        for chunk in answer.iter_content(_CHUNK_BYTES):
            content += chunk
            if len(content) > _MAX_BYTES:
                raise ServerAway(f"The answer of {answer.url} is longer than {_MAX_BYTES} bytes.")
    return content


def _may_pass(error: requests.RequestException) -> bool:
    """Return whether another try may succeed. A refused connection means no server there."""
    if isinstance(error, requests.exceptions.SSLError):
        return False
    if isinstance(error, requests.Timeout | requests.exceptions.ChunkedEncodingError):
        return True
    is_refused = "NewConnectionError" in repr(error) or "NameResolutionError" in repr(error)
    return isinstance(error, requests.ConnectionError) and not is_refused


def _cause(error: requests.RequestException) -> str:
    """Return the innermost reason, without the objects that it was wrapped in."""
    if isinstance(error, requests.ConnectTimeout):
        return "no connection in time"
    if isinstance(error, requests.ReadTimeout):
        return "no answer in time"
    cause: Any = error
    while isinstance(cause, Exception):
        inner = getattr(cause, "reason", None) or next(iter(cause.args), None)
        if not isinstance(inner, Exception | str) or inner is cause:
            break
        cause = inner
    return str(cause).rpartition(": ")[2].rstrip(".") or type(error).__name__


def _foreign(url: str, answer: requests.Response) -> str:
    target = answer.headers.get("Location")
    where = f", and points to {target}" if target else ""
    return (
        f"{url} answered {answer.status_code} without a document of Chronos{where}. "
        "Check the address."
    )
