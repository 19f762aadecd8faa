"""The API: whether it answers, and finds all that it needs."""

import json
from collections.abc import Iterator
from itertools import islice

import requests

from chronos_common.doctor.findings import Finding, fine, warning
from chronos_common.domain.texts import one_line

_TIMEOUT_SECONDS = 5
#: The API's answer is shorter than these chunks together.
_CHUNKS, _CHUNK_BYTES = 8, 8192


def api(address: str | None) -> Iterator[Finding]:
    """Ask the API at ``address`` whether it is ready. None if its address is not known."""
    if address is None:
        yield fine("api", "It was not asked: CHRONOS_PUBLIC_URL does not say where it is.")
        return
    url = f"{address.rstrip('/')}/api/v1/ready"
    try:
        missing = _missing(_get(url))
    except requests.RequestException as error:
        yield warning(
            "api",
            f"It does not answer at {url} ({type(error).__name__}). Jobs run, but nobody can see "
            "or change them.",
            "Start it with 'chronos api', or look into its log. If it runs, correct "
            "CHRONOS_PUBLIC_URL, or let this host reach it.",
        )
    except (KeyError, TypeError, ValueError, RecursionError):
        yield warning(
            "api",
            f"Something else than the API of Chronos answers at {url}.",
            "Correct CHRONOS_PUBLIC_URL, or the proxy in front of the API.",
        )
    else:
        if not missing:
            yield fine("api", f"It answers at {address}, and is ready.")
            return
        yield warning(
            "api",
            f"It answers at {address}, but is not ready. {one_line(missing)}",
            "See the other findings. If they are well, give it the same settings as here.",
        )


def _get(url: str) -> bytes:
    """Return the first part of an answer of any status."""
    with requests.Session() as session:
        session.trust_env = False  # it is on this machine, or beside it
        with session.get(url, timeout=_TIMEOUT_SECONDS, stream=True) as response:
            return b"".join(islice(response.iter_content(_CHUNK_BYTES), _CHUNKS))


def _missing(body: bytes) -> str:
    """Return the checks that failed, in words. Any error means that it is no such answer."""
    failed = [each for each in json.loads(body)["checks"] if not each["ok"]]
    return " ".join(f"{each['name']}: {each['detail']}" for each in failed)
