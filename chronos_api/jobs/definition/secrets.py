"""Secrets in payloads: hidden in answers, and put back where an answer is sent back.

Each type of payload declares its secret fields. An answer shows ``[redacted]`` for a secret
value, and a URL without its user information. Whoever edits a job sends that back unchanged. Then
the stored value stays, as long as it goes to the same origin: otherwise an editor could have it
sent to a server of their own.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from chronos_common.domain import redaction
from chronos_common.domain.jobs import is_same_json
from chronos_common.domain.payloads import TYPES, uses_default
from chronos_common.domain.redaction import REDACTED


def shown(job_type: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored payload, valid or not, without its secrets."""
    if job_type not in TYPES:
        # Another release stored it, and knows which of its fields are secret.
        return dict.fromkeys(payload, REDACTED)
    result = dict(payload)
    if uses_default(job_type, payload):
        return result
    for field in TYPES[job_type].secrets:
        if field.redact and field.name in payload:
            result[field.name] = field.redact(payload[field.name])
    return result


def restored(
    job_type: str, payload: Mapping[str, Any], stored: Mapping[str, Any] | None
) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Return ``payload`` with the secrets of ``stored`` in its redacted places.

    ``payload`` is not checked yet, so its fields may be anything. The second value names the
    places where there is nothing to put back, or where that would go to another server.
    """
    result: dict[str, Any] = dict(payload)
    if uses_default(job_type, payload):
        return result, {}
    is_known = stored is not None and not uses_default(job_type, stored)
    secrets = _Secrets(job_type, payload, stored if stored and is_known else {})
    for field in TYPES[job_type].secrets:
        if payload.get(field.name) is not None:
            result[field.name] = secrets.restored(field.name, payload[field.name])
    return result, secrets.faults


class _Secrets:
    """Puts stored values back where a payload holds them as an answer shows them."""

    def __init__(
        self, job_type: str, payload: Mapping[str, Any], stored: Mapping[str, Any]
    ) -> None:
        self._stored = stored
        self._shown = shown(job_type, stored)
        self._destination = TYPES[job_type].destination
        self._is_same_origin = self._goes_to_same_origin(payload)
        self.faults: dict[str, list[str]] = {}

    def _goes_to_same_origin(self, payload: Mapping[str, Any]) -> bool:
        name = self._destination
        if name is None:
            return True
        if name in self._stored and is_same_json(payload.get(name), self._shown[name]):
            return True
        return _origin(payload.get(name)) == _origin(self._stored.get(name))

    def restored(self, name: str, given: Any) -> Any:
        """Return the field ``name`` with its stored secrets where ``given`` hides them."""
        if isinstance(given, dict):
            return self._restored_object(name, given)
        if name in self._stored and is_same_json(given, self._shown[name]):
            return self._put_back(name, given, self._stored[name])
        if REDACTED in str(given):
            self._refuse(name, "Holds [redacted]; give it with its secret.")
        return given

    def _restored_object(self, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        stored, hidden = self._stored.get(name), self._shown.get(name)
        if not isinstance(stored, dict) or not isinstance(hidden, dict):
            stored, hidden = {}, {}
        result = dict(given)
        for key, value in given.items():
            place = f"{name}.{key}"
            if key in stored and is_same_json(value, hidden[key]):
                result[key] = self._put_back(place, value, stored[key])
            elif value == REDACTED and redaction.is_secret(key):
                self._refuse(place, "Give the secret itself; none is stored.")
        return result

    def _put_back(self, place: str, given: Any, stored: Any) -> Any:
        if self._is_same_origin or place == self._destination or is_same_json(given, stored):
            return stored
        self._refuse(place, "The URL goes to another server now; give the secret itself again.")
        return given

    def _refuse(self, place: str, message: str) -> None:
        self.faults[f"payload.{place}"] = [message]


def _origin(url: object) -> tuple[object, ...] | None:
    try:
        parts = urlsplit(str(url))
        port = parts.port
    except ValueError:
        return None
    return parts.scheme, parts.hostname, port
