"""Secrets in payloads: hidden in answers, and put back where an answer is sent back.

Each type of payload declares the fields that hold secrets. An answer shows ``[redacted]`` for a
secret value, at any depth, and a URL without its user information. A client that edits a job sends
these back unchanged. Then the stored value stays, as long as it goes to the same origin. Otherwise
an editor could have it sent to a server of their own.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from chronos_common.domain import redaction
from chronos_common.domain.jobs import is_same_json
from chronos_common.domain.payloads import TYPES, uses_default, without_secrets
from chronos_common.domain.redaction import REDACTED


def shown(action_type: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored payload, valid or not, without its secrets."""
    return without_secrets(action_type, payload)


def restored(
    action_type: str, payload: Mapping[str, Any], stored: Mapping[str, Any] | None
) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Return ``payload`` with the secrets of ``stored`` in its redacted places.

    ``payload`` is not checked yet, so its fields may be anything. The second value names the
    places where there is nothing to put back, or where that would go to another server.
    """
    result: dict[str, Any] = dict(payload)
    is_default = uses_default(action_type, payload)
    is_known = stored is not None and uses_default(action_type, stored) == is_default
    secrets = _Secrets(action_type, payload, stored if stored and is_known else {})
    declared = [field.name for field in TYPES[action_type].secrets]
    for name in payload if is_default else declared:
        if payload.get(name) is not None:
            result[name] = secrets.restored(name)
    return result, secrets.faults


_MISSING: Final = object()


class _Secrets:
    """Puts stored values back where a payload holds them as an answer shows them."""

    def __init__(
        self, action_type: str, payload: Mapping[str, Any], stored: Mapping[str, Any]
    ) -> None:
        self._given = payload
        self._stored = stored
        self._shown = shown(action_type, stored)
        self._destination = TYPES[action_type].destination
        self._is_same_origin = self._goes_to_same_origin()
        self.faults: dict[str, list[str]] = {}

    def _goes_to_same_origin(self) -> bool:
        name = self._destination
        if name is None:
            return True
        given, stored = self._given.get(name), self._stored.get(name)
        if is_same_json(given, self._shown.get(name)):
            return True
        return _origin(given) == _origin(stored)

    def restored(self, name: str) -> Any:
        """Return the field ``name`` with its stored secrets where the given value hides them."""
        given = self._given[name]
        if isinstance(given, str) and given != self._shown.get(name) and REDACTED in given:
            self._refuse(name, "Holds [redacted]; give it with its secret.")
            return given
        return self._restored(
            name, given, self._stored.get(name, _MISSING), self._shown.get(name, _MISSING)
        )

    def _restored(self, place: str, given: Any, stored: Any, hidden: Any) -> Any:
        """Return ``given`` with its secrets. An answer shows ``stored`` as ``hidden``."""
        if isinstance(given, dict):
            return self._restored_object(place, given, stored, hidden)
        if hidden is not _MISSING and is_same_json(given, hidden):
            return self._put_back(place, given, stored)
        if isinstance(given, list) and _holds_marks(given):
            # Which of the stored elements is meant is not known.
            self._refuse(place, "Holds [redacted]; give the list with its secrets.")
        return given

    def _restored_object(
        self, place: str, given: Mapping[str, Any], stored: Any, hidden: Any
    ) -> dict[str, Any]:
        if not isinstance(stored, dict) or not isinstance(hidden, dict):
            stored, hidden = {}, {}
        result = {}
        for name, value in given.items():
            inner = f"{place}.{name}"
            if _is_mark(name, value) and hidden.get(name) != REDACTED:
                self._refuse(inner, "Give the secret itself; none is stored.")
            result[name] = self._restored(
                inner, value, stored.get(name, _MISSING), hidden.get(name, _MISSING)
            )
        return result

    def _put_back(self, place: str, given: Any, stored: Any) -> Any:
        if self._is_same_origin or place == self._destination or is_same_json(given, stored):
            return stored
        self._refuse(place, "The URL goes to another server now; give the secret itself again.")
        return given

    def _refuse(self, place: str, message: str) -> None:
        self.faults[f"payload.{place}"] = [message]


def _is_mark(name: str, value: Any) -> bool:
    return bool(value == REDACTED) and redaction.is_secret(name)


def _holds_marks(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_is_mark(name, each) or _holds_marks(each) for name, each in value.items())
    return isinstance(value, list) and any(map(_holds_marks, value))


def _origin(url: object) -> tuple[object, ...] | None:
    try:
        parts = urlsplit(str(url))
        port = parts.port
    except ValueError:
        return None
    return parts.scheme, parts.hostname, port
