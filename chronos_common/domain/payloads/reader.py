"""Reads the fields of a payload, and collects what is wrong with them."""

from collections.abc import Mapping
from typing import Any

from chronos_common.domain.texts import is_seen, stored_fault


class Reader:
    """Takes fields out of a JSON object; ``errors`` names the wrong ones as ``payload.url``."""

    def __init__(self, payload: Mapping[str, Any]) -> None:
        self._left = dict(payload)
        self.errors: dict[str, list[str]] = {}

    def wrong(self, name: str, message: str) -> None:
        """Note what is wrong with the field ``name``."""
        self.errors.setdefault(f"payload.{name}", []).append(message)

    def refuse_the_rest(self) -> None:
        """Note every field that nobody took."""
        for name in self._left:
            self.wrong(name, "Unknown field; remove it.")

    def take(self, name: str, kind: type, default: Any = None, *, required: bool = False) -> Any:
        """Return the field if it is a ``kind``; else note what is wrong and return the default."""
        value = self._left.pop(name, None)
        if value is None:
            if required:
                self.wrong(name, "Missing; it is required.")
            return default
        # In JSON true is not a number, although in Python it is an int.
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            self.wrong(name, f"Must be {_JSON_NAMES[kind]}.")
            return default
        return value

    def take_any(self, name: str) -> Any:
        """Return the field, whatever it is."""
        return self._left.pop(name, None)

    def text(self, name: str, default: str = "", *, required: bool = False) -> str:
        """Return a text that can be stored; one that is required shows something."""
        value: str | None = self.take(name, str, required=required)
        if value is None:
            return default
        fault = stored_fault(value)
        if fault is None and required and not is_seen(value):
            fault = "Must not be empty."
        if fault:
            self.wrong(name, fault)
        return value

    def is_wrong(self, name: str) -> bool:
        """Return whether something was noted of the field ``name``."""
        return f"payload.{name}" in self.errors


_JSON_NAMES = {
    str: "a string",
    int: "an integer",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}
