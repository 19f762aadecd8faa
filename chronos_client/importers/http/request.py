"""A request that a source describes, and the webhook job that sends it."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from chronos_client.importers.outcome import Draft, LeftOut
from chronos_client.importers.times import set_timeout

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
        draft.set(type="webhook", payload=self.payload())
        set_timeout(draft, self.timeout, what=timeout)
        _note_local_host(self.url, draft)

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
    if "." not in host or host.endswith((".svc", ".local", ".internal")) or host == "127.0.0.1":
        draft.note(
            "host",
            f"{host!r} has a meaning in the source's network alone. Workers must reach it there, "
            "and the operator must allow private addresses.",
        )
