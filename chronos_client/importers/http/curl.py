"""The request of a ``curl`` command. See curl(1)."""

import base64
import re
from collections import Counter
from collections.abc import Sequence
from urllib.parse import quote_plus

from chronos_client.importers.http.options import Grammar
from chronos_client.importers.http.request import HttpRequest
from chronos_client.importers.outcome import Draft, LeftOut, number

#: Only for the terminal, or for the exit code that cron does not look at.
_SILENT = frozenset({
    "silent", "show-error", "fail", "fail-with-body", "verbose", "include", "no-progress-meter",
    "progress-bar", "no-buffer", "globoff", "no-keepalive", "disable", "create-dirs",
    "remote-header-name", "retry-all-errors", "retry-connrefused",
})  # fmt: skip
#: About the connection, which Chronos makes in its own way.
_CONNECTION = frozenset({
    "compressed", "ipv4", "ipv6", "http1.1", "http2", "tlsv1.2", "tlsv1.3", "max-redirs",
    "connect-timeout",
})  # fmt: skip
_FLAGS = (_SILENT | _CONNECTION | {"location", "insecure", "get", "head", "remote-name"}) - {
    "max-redirs", "connect-timeout",
}  # fmt: skip
_DATA = frozenset({"data", "data-raw", "data-ascii", "data-binary", "data-urlencode", "json"})
_VALUES = _DATA | {
    "request", "header", "user", "user-agent", "referer", "cookie", "max-time", "connect-timeout",
    "url", "output", "write-out", "retry", "retry-delay", "retry-max-time", "oauth2-bearer",
    "dump-header", "max-redirs",
}  # fmt: skip

_GRAMMAR = Grammar(
    "curl",
    {
        "s": "silent", "S": "show-error", "f": "fail", "v": "verbose", "i": "include", "#":
        "progress-bar", "N": "no-buffer", "g": "globoff", "L": "location", "k": "insecure",
        "G": "get", "I": "head", "4": "ipv4", "6": "ipv6", "O": "remote-name", "d": "data",
        "X": "request", "H": "header", "u": "user", "A": "user-agent", "e": "referer",
        "b": "cookie", "m": "max-time", "o": "output", "w": "write-out", "q": "disable",
        "D": "dump-header", "J": "remote-header-name",
    },
    frozenset(_VALUES),
    frozenset(_FLAGS),
)  # fmt: skip

_HEADERS = {
    "user-agent": ("User-Agent", ""),
    "referer": ("Referer", ""),
    "oauth2-bearer": ("Authorization", "Bearer "),
}


def read(words: Sequence[str], draft: Draft) -> HttpRequest:
    """Return the request. Raises :class:`LeftOut` for an option that has no equal."""
    options = [*_GRAMMAR.read(words)]
    request = HttpRequest(_url(options), follows_redirects=False)
    _read_data(options, request)
    _report_repeated(options, draft)
    for name, value in options:
        _read_option(name, value, request, draft)
    return request


def _url(options: Sequence[tuple[str | None, str]]) -> str:
    urls = [value for name, value in options if name in {None, "url"}]
    if len(urls) != 1:
        raise LeftOut(f"curl calls {len(urls)} URLs. A job calls one; make a job of each.")
    if ("globoff", "") not in options and re.search(r"[][{}]", urls[0]):
        raise LeftOut("curl makes several requests of the brackets in the URL.")
    return urls[0]


def _read_data(options: Sequence[tuple[str | None, str]], request: HttpRequest) -> None:
    names = {name for name, _ in options}
    parts = [_data(name, value) for name, value in options if name in _DATA]
    if "head" in names:
        request.method = "HEAD"
    if not parts:
        return
    if "get" in names:
        request.url += ("&" if "?" in request.url else "?") + "&".join(parts)
        return
    if "head" in names:
        raise LeftOut("curl takes no data beside --head.")
    request.method = "POST"
    is_json = "json" in names
    request.body = "".join(parts) if is_json else "&".join(parts)
    request.add_header(
        "Content-Type", "application/json" if is_json else "application/x-www-form-urlencoded"
    )
    if is_json:
        request.add_header("Accept", "application/json")


def _data(name: str | None, value: str) -> str:
    if name == "data-urlencode":
        key, equals, content = value.partition("=")
        if "@" in key or (not equals and "@" in value):
            raise LeftOut("curl reads what it sends from a file.")
        if not equals:
            return quote_plus(value, safe="").replace("+", "%20")
        encoded = quote_plus(content, safe="").replace("+", "%20")
        return f"{key}={encoded}" if key else encoded
    if name != "data-raw" and value.startswith("@"):
        raise LeftOut("curl reads what it sends from a file.")
    return value


def _read_option(name: str | None, value: str, request: HttpRequest, draft: Draft) -> None:
    match name:
        case "request":
            request.method = value.upper()
        case "header":
            _read_header(value, request)
        case "user":
            encoded = base64.b64encode(value.encode()).decode()
            request.add_header("Authorization", f"Basic {encoded}")
        case "user-agent" | "referer" | "oauth2-bearer":
            header, prefix = _HEADERS[name]
            request.add_header(header, prefix + value)
        case "cookie":
            if "=" not in value:
                raise LeftOut("curl reads cookies from a file.")
            request.add_header("Cookie", value)
        case "max-time":
            request.timeout = number(value, "--max-time", float)
        case "location":
            request.follows_redirects = True
        case "insecure":
            request.verifies = False
        case _:
            _report(name, value, draft)


def _read_header(text: str, request: HttpRequest) -> None:
    if text.startswith("@"):
        raise LeftOut("curl reads headers from a file.")
    name, colon, value = text.partition(":")
    if colon and value.strip():
        request.add_header(name.strip(), value.strip())
    elif colon:
        # An empty value takes away a header that curl would send by itself.
        for each in [each for each in request.headers if each.lower() == name.strip().lower()]:
            del request.headers[each]
    else:
        raise LeftOut(f"The header {text!r} has no equal in a job.")


def _report_repeated(options: Sequence[tuple[str | None, str]], draft: Draft) -> None:
    headers = [value.partition(":")[0].strip() for name, value in options if name == "header"]
    for header, number_of_times in Counter(map(str.lower, headers)).items():
        if number_of_times > 1:
            draft.lacks(
                f"header {header}",
                f"curl sends it {number_of_times} times. The job sends the last one.",
            )


def _report(name: str | None, value: str, draft: Draft) -> None:
    """Report an option that the job does not have and that does not change the request."""
    match name:
        case "retry":
            draft.lacks(
                "--retry",
                "curl tries again by rules of its own. The job is tried once. Set max_attempts.",
            )
        case "output" | "dump-header" if value not in {"/dev/null", "-"}:
            draft.lacks(f"--{name}", "The answer is not saved. The history of each run keeps it.")
        case "remote-name":
            draft.lacks("--remote-name", "The answer is not saved. The history keeps it.")
        case "connect-timeout":
            draft.lacks("--connect-timeout", "A job has one time limit for a whole attempt.")
        case _ if name in _CONNECTION:
            draft.lacks(f"--{name}", "A job has no such option.")
