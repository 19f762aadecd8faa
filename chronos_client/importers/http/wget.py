"""The request of a ``wget`` command. See wget(1)."""

import base64
from collections.abc import Sequence

from chronos_client.importers.http.options import Grammar
from chronos_client.importers.http.request import HttpRequest
from chronos_client.importers.outcome import Draft, LeftOut

_SILENT = frozenset({
    "quiet", "no-verbose", "verbose", "no-cache", "no-hsts", "delete-after", "background",
    "server-response",
})  # fmt: skip
_FLAGS = _SILENT | {"spider", "no-check-certificate"}
_VALUES = frozenset({
    "output-document", "output-file", "append-output", "post-data", "body-data", "method",
    "header", "user", "password", "http-user", "http-password", "user-agent", "referer",
    "timeout", "read-timeout", "connect-timeout", "tries", "waitretry",
})  # fmt: skip

_GRAMMAR = Grammar(
    "wget",
    {"q": "quiet", "v": "verbose", "O": "output-document", "o": "output-file",
     "a": "append-output", "T": "timeout", "t": "tries", "U": "user-agent", "b": "background",
     "S": "server-response"},
    _VALUES,
    frozenset(_FLAGS),
)  # fmt: skip


def read(words: Sequence[str], draft: Draft) -> HttpRequest:
    """Return the request. Raises :class:`LeftOut` for an option that has no equal."""
    # -nv is the only one of wget's two-letter options that only matters to a terminal.
    options = [*_GRAMMAR.read(["--no-verbose" if word == "-nv" else word for word in words])]
    urls = [value for name, value in options if name is None]
    if len(urls) != 1:
        raise LeftOut(f"wget calls {len(urls)} URLs. A job calls one; make a job of each.")
    values = {name: value for name, value in options if name is not None}
    request = HttpRequest(urls[0], verifies="no-check-certificate" not in values)
    _read_method(values, request)
    for name, value in options:
        if name == "header":
            title, _, text = value.partition(":")
            request.add_header(title.strip(), text.strip())
    _read_credentials(values, request)
    _report(values, draft)
    return request


def _read_method(values: dict[str, str], request: HttpRequest) -> None:
    if "spider" in values:
        request.method = "HEAD"
    if "post-data" in values:
        request.method, request.body = "POST", values["post-data"]
    if "body-data" in values:
        request.body = values["body-data"]
    if "method" in values:
        request.method = values["method"].upper()
    if request.body is not None:
        request.add_header("Content-Type", "application/x-www-form-urlencoded")
    for name, header in (("user-agent", "User-Agent"), ("referer", "Referer")):
        if name in values:
            request.add_header(header, values[name])


def _read_credentials(values: dict[str, str], request: HttpRequest) -> None:
    user = values.get("http-user", values.get("user"))
    password = values.get("http-password", values.get("password"))
    if user is not None and password is not None:
        # wget sends them once the server asks. A job sends them at once.
        encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
        request.add_header("Authorization", f"Basic {encoded}")


def _report(values: dict[str, str], draft: Draft) -> None:
    file = values.get("output-document")
    if file not in {"-", "/dev/null"} and not values.keys() & {"spider", "delete-after"}:
        draft.lacks("output", "The answer is not saved to a file. The history keeps it.")
    if values.keys() & {"timeout", "read-timeout", "connect-timeout"}:
        draft.lacks("--timeout", "wget bounds each wait. A job has one limit for an attempt.")
    if values.get("tries") != "1":
        tries = values.get("tries", "20")
        draft.lacks(
            "--tries",
            f"wget tries {tries} times if a connection breaks. The job is tried once. "
            "Set max_attempts.",
        )
    if {"user", "http-user"} & values.keys() and {"password", "http-password"} & values.keys():
        draft.note("--user", "wget sends it when the server asks. The job sends it at once.")
