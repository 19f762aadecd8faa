"""A request that a source describes, and the webhook job that sends it."""

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from chronos_client.importers.outcome import Draft, LeftOut, expect
from chronos_client.importers.times import set_timeout

#: Chronos or the connection sets these, and no job may.
OWN_HEADERS = frozenset({
    "connection", "content-length", "expect", "host", "keep-alive", "proxy-authorization", "te",
    "trailer", "traceparent", "transfer-encoding", "upgrade", "webhook-id", "webhook-signature",
    "webhook-timestamp", "x-chronos-attempt", "x-chronos-job-id", "x-chronos-scheduled-for",
    "x-chronos-test",
})  # fmt: skip
_LOCAL_NAMES = (".svc", ".cluster.local", ".local", ".internal", ".lan")
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")


@dataclass(slots=True)
class HttpRequest:
    """An HTTP request. ``timeout`` is None if the source waits for ever."""

    url: str
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    timeout: float | None = None
    follows_redirects: bool = True
    verifies: bool = True

    @property
    def name(self) -> str:
        """A name for a job that has none: the method, the host and the path."""
        parts = urlsplit(self.url)
        host = parts.netloc.rpartition("@")[2]
        return f"{self.method} {host}{parts.path.rstrip('/')}"

    def set_in(self, draft: Draft, *, timeout: str = "time limit") -> None:
        """Write the job's payload. Raises :class:`LeftOut` if it cannot be sent."""
        if self.method not in METHODS:
            raise LeftOut(f"The method {self.method!r} is not one of {', '.join(METHODS)}.")
        if self.method == "HEAD" and self.body is not None:
            raise LeftOut("It sends a body with HEAD, which has none.")
        self._drop_own_headers(draft)
        draft.set(type="webhook", payload=self.payload())
        set_timeout(draft, self.timeout, what=timeout)
        _note_local_host(self.url, draft)

    def _drop_own_headers(self, draft: Draft) -> None:
        host = urlsplit(address(self.url)).netloc.rpartition("@")[2]
        for name, value in [*self.headers.items()]:
            expect(value, str, f"The value of the header {name!r}")
            if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value.strip()):
                raise LeftOut(f"The header {name!r} has characters that HTTP does not have there.")
            if name.lower() == "host" and value != host:
                raise LeftOut(
                    f"It asks {host} for the host {value!r}. A job names its URL's host."
                )
            if name.lower() in OWN_HEADERS:
                del self.headers[name]
                if name.lower() != "host":
                    draft.lacks(f"header {name}", "Chronos sets it itself.")

    def payload(self) -> dict[str, Any]:
        """Return the payload of a webhook."""
        payload: dict[str, Any] = {"url": address(self.url), "method": self.method}
        if self.headers:
            payload["headers"] = dict(self.headers)
        if self.body is not None:
            payload["body"] = self.body
        if not self.follows_redirects:
            payload["follow_redirects"] = False
        if not self.verifies:
            payload["verify_tls"] = False
        return payload

    def add_header(self, name: str, value: str) -> None:
        """Set a header. Its name may be in any case."""
        for other in [each for each in self.headers if each.lower() == name.lower()]:
            del self.headers[other]
        self.headers[name] = value

    def has_header(self, name: str) -> bool:
        """Return whether a header is set."""
        return any(each.lower() == name.lower() for each in self.headers)


def address(url: str) -> str:
    """Return a URL with its scheme and without its fragment. Raises :class:`LeftOut`."""
    if "://" not in url:
        url = f"http://{url}"
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError as error:
        raise LeftOut(f"{url!r} is not a URL: {error}.") from error
    if parts.scheme.lower() not in {"http", "https"} or not host:
        raise LeftOut(f"{url!r} is not an http or https URL.")
    return parts._replace(fragment="").geturl()


def _note_local_host(url: str, draft: Draft) -> None:
    host = urlsplit(address(url)).hostname or ""
    if "." not in host or host.endswith(_LOCAL_NAMES) or _is_private(host):
        draft.note(
            "host",
            f"{host!r} has a meaning in the source's network alone. Workers must reach it there, "
            "and the operator must allow private addresses.",
        )


def _is_private(host: str) -> bool:
    try:
        return ip_address(host).is_private
    except ValueError:
        return False
