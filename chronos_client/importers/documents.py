"""Reads sources that are YAML or JSON, within bounds, and writes files of jobs as code."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from chronos_client.importers.outcome import Outcome, SourceUnreadable

MAX_SCOPE_LENGTH = 100
MAX_BYTES = 4 * 1024 * 1024
#: Aliases let a few lines of YAML stand for a document of any size.
MAX_ALIASES = 100
MAX_MEMBERS = 10_000
#: Values of a document, those behind aliases counted each time.
MAX_VALUES = 1_000_000


class Located(dict[str, Any]):
    """A mapping of a YAML document, with the line on which it begins."""

    line: int | None = None


def line_of(entry: Mapping[str, Any]) -> int | None:
    """Return the line of a mapping, or None if it is not known."""
    return entry.line if isinstance(entry, Located) else None


def check_size(text: str) -> None:
    """Raise :class:`SourceUnreadable` if a text is too long to be read."""
    if len(text) > MAX_BYTES:
        raise SourceUnreadable(f"The source has more than {MAX_BYTES // 1024**2} MiB; divide it.")


def read_json(text: str) -> Any:
    """Return the value of a JSON text. Raises :class:`SourceUnreadable`."""
    check_size(text)
    try:
        return json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise SourceUnreadable(
            f"The source is not JSON: line {error.lineno}, column {error.colno}: {error.msg}."
        ) from error
    except (ValueError, RecursionError) as error:
        raise SourceUnreadable(f"The source is not JSON: {error}.") from error


def read_yaml(text: str) -> list[Any]:
    """Return the documents of a YAML or JSON text. Raises :class:`SourceUnreadable`."""
    check_size(text)
    try:
        import yaml  # noqa: PLC0415 - an extra of the light distribution
    except ImportError as error:
        raise SourceUnreadable(
            "YAML needs PyYAML. Run: pip install 'chronos-client[yaml]'"
        ) from error
    try:
        found = list(yaml.load_all(text, Loader=_loader(yaml)))
    except yaml.YAMLError as error:
        remedy = " It has templates like {{ ... }}; render it first." if "{{" in text else ""
        raise SourceUnreadable(f"The source is not YAML: {_one_line(error)}.{remedy}") from error
    except (ValueError, RecursionError) as error:
        raise SourceUnreadable(f"The source is not YAML that can be read: {error}.") from error
    _check_values(found)
    return found


def entries(value: Any, *members: str) -> list[Any]:
    """Return the entries of a list, of a member that holds a list, or the only entry."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        for name in members:
            if isinstance(value.get(name), list):
                return list(value[name])
        return [value]
    raise SourceUnreadable("The source must hold an object, or a list of objects.")


def mappings(found: list[Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the entries with their numbers. Raises :class:`SourceUnreadable`."""
    for number, entry in enumerate(found, start=1):
        if not isinstance(entry, dict):
            raise SourceUnreadable(f"Entry {number} of the source is not an object.")
        yield number, entry


def _check_values(document: Any) -> None:
    waiting, count = [document], 0
    while waiting:
        value = waiting.pop()
        inner: list[Any] = []
        if isinstance(value, dict):
            inner = list(value.values())
        elif isinstance(value, list):
            inner = value
        count += len(inner)
        if count > MAX_VALUES:
            raise SourceUnreadable(f"The source stands for more than {MAX_VALUES} values.")
        waiting += inner


def _loader(yaml: Any) -> type[Any]:
    base: type[Any] = yaml.SafeLoader

    class Loader(base):  # type: ignore[misc]
        """A safe loader that counts aliases and remembers lines."""

        aliases = 0

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.events.AliasEvent):
                self.aliases += 1
                if self.aliases > MAX_ALIASES:
                    raise ValueError(f"it has more than {MAX_ALIASES} aliases")
            return super().compose_node(parent, index)

        def flatten_mapping(self, node: Any) -> None:
            super().flatten_mapping(node)
            # Merge keys ("<<") copy. Each level may copy all of the one below several times.
            if len(node.value) > MAX_MEMBERS:
                raise ValueError(f"a mapping has more than {MAX_MEMBERS} members")

    def mapping(loader: Any, node: Any) -> Iterator[Located]:
        found = Located()
        found.line = node.start_mark.line + 1
        yield found
        loader.flatten_mapping(node)
        found.update((str(key), value) for key, value in loader.construct_mapping(node).items())

    Loader.add_constructor("tag:yaml.org,2002:map", mapping)
    return Loader


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def file_of(outcome: Outcome, scope: str, *, shadow: bool = False) -> dict[str, Any]:
    """Return the file of a scope, as ``chronos apply`` takes it.

    With ``shadow`` its jobs only record their runs, until that is taken out of the defaults.
    """
    defaults = {"defaults": {"shadow": True}} if shadow else {}
    return {"scope": scope, **defaults, "jobs": outcome.jobs}


def as_json(outcome: Outcome, scope: str, *, shadow: bool = False) -> str:
    """Return the file of a scope as JSON."""
    file = file_of(outcome, scope, shadow=shadow)
    return json.dumps(file, indent=2, ensure_ascii=False) + "\n"


def as_yaml(outcome: Outcome, scope: str, *, shadow: bool = False) -> str:
    """Return the file of a scope as YAML. Raises :class:`SourceUnreadable` without PyYAML."""
    try:
        import yaml  # noqa: PLC0415 - an extra of the light distribution
    except ImportError as error:
        raise SourceUnreadable(
            "YAML needs PyYAML. Run: pip install 'chronos-client[yaml]', or use --output json."
        ) from error
    # Through JSON, so that no value stands twice and becomes an alias.
    plain = json.loads(as_json(outcome, scope, shadow=shadow))
    text: str = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100)
    return text
