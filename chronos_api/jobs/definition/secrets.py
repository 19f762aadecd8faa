"""Secrets in payloads: hidden in answers, and put back where an answer is sent back.

An answer shows ``[redacted]`` for secret headers and query parameters, and a URL without its user
information. Whoever edits a job sends that back unchanged; then the stored value stays. It goes
to the same origin only: otherwise an editor could have it sent to a server of their own.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from chronos_common.domain import redaction
from chronos_common.domain.jobs import JobType, is_same_json
from chronos_common.domain.redaction import REDACTED


def shown(job_type: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return what may be shown of a stored payload, whatever it holds."""
    result = dict(payload)
    if job_type != JobType.WEBHOOK or "url" not in payload:
        return result
    url, headers, params = (payload.get(name) for name in ("url", "headers", "params"))
    result["url"] = redaction.url(url) if isinstance(url, str) else REDACTED
    if isinstance(headers, dict):
        result["headers"] = {
            name: redaction.header(name, value) if isinstance(value, str) else REDACTED
            for name, value in headers.items()
        }
    if isinstance(params, dict):
        result["params"] = {
            name: REDACTED if redaction.is_secret(name) else value
            for name, value in params.items()
        }
    return result


def restored(
    payload: Mapping[str, Any], stored: Mapping[str, Any] | None
) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Return ``payload`` with the secrets of ``stored`` where it shows what was redacted.

    ``payload`` is not checked yet, so its fields may be anything. The second value names the
    places where there is nothing to put back, or where that would go to another server.
    """
    before = stored or {}
    shown_before = shown(JobType.WEBHOOK, before) if "url" in before else {}
    result = dict(payload)
    if "url" not in payload:
        return result, {}
    faults: dict[str, list[str]] = {}
    if "url" in before and payload.get("url") == shown_before["url"]:
        result["url"] = before["url"]
    elif REDACTED in str(payload.get("url")):
        faults["payload.url"] = ["Holds [redacted]; give the URL with its secret."]
    same_origin = _origin(result.get("url")) == _origin(before.get("url"))
    for group in ("headers", "params"):
        if isinstance(payload.get(group), dict):
            known = before.get(group)
            secrets = _Secrets(
                known if isinstance(known, dict) else {},
                shown_before.get(group) or {},
                same_origin=same_origin,
            )
            result[group] = {
                name: secrets.put_back(group, name, value, faults)
                for name, value in payload[group].items()
            }
    return result, faults


class _Secrets:
    """The stored values of a group of fields, and what an answer shows of them."""

    def __init__(
        self, values: Mapping[str, Any], shown: Mapping[str, Any], *, same_origin: bool
    ) -> None:
        self._values = values
        self._shown = shown
        self._same_origin = same_origin

    def put_back(self, group: str, name: str, value: Any, faults: dict[str, list[str]]) -> Any:
        """Return the stored value if ``value`` is what an answer shows of it."""
        if name in self._values and is_same_json(value, self._shown[name]):
            if is_same_json(value, self._values[name]) or self._same_origin:
                return self._values[name]
            faults[f"payload.{group}.{name}"] = [_ANOTHER_ORIGIN]
        elif value == REDACTED and redaction.is_secret(name):
            faults[f"payload.{group}.{name}"] = ["Give the secret itself; none is stored."]
        return value


_ANOTHER_ORIGIN = "The URL goes to another server now; give the secret itself again."


def _origin(url: object) -> tuple[object, ...] | None:
    try:
        parts = urlsplit(str(url))
        port = parts.port
    except ValueError:
        return None
    return parts.scheme, parts.hostname, port
