"""YAML with the position of each value, so that an error can name its line and column.

JSON is read as YAML. ``!env TEXT`` is a text in which ``${NAME}`` stands for an environment
variable. It gives a file its secrets, which do not belong into a repository.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chronos_client.errors import ClientError, Fault, FileInvalid

#: Bound of the values in a file. Aliases count each time.
MAX_VALUES = 200_000
MAX_DEPTH = 40

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_ENV = "!env"
_YAML = "tag:yaml.org,2002:"

Path = tuple[str | int, ...]


@dataclass(slots=True)
class Document:
    """A file: its value, the position of each value by its path, and its faults so far."""

    name: str
    value: Any = None
    positions: dict[Path, tuple[int, int]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def refuse(self, path: Path, text: str) -> None:
        """Note a fault of the value at ``path``, or of the nearest one around it."""
        while path and path not in self.positions:
            path = path[:-1]
        line, column = self.positions.get(path, (1, 1))
        self.faults.append(Fault(line, column, text))

    def check(self) -> None:
        """Raise :class:`FileInvalid` if there is a fault."""
        if self.faults:
            raise FileInvalid(self.name, self.faults)


def read(text: str, *, name: str, environment: Mapping[str, str]) -> Document:
    """Return a file with its positions. Raises :class:`FileInvalid` if it is no YAML."""
    try:
        import yaml  # noqa: PLC0415 - an extra of the light distribution
    except ImportError as error:
        raise ClientError("YAML needs PyYAML. Run: pip install 'chronos-client[yaml]'") from error
    document = Document(name)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise FileInvalid(name, [Fault(line, column, f"Is no YAML: {error.problem}.")]) from error
    except yaml.YAMLError as error:
        raise FileInvalid(name, [Fault(1, 1, f"Is no YAML: {error}")]) from error
    except RecursionError as error:
        raise FileInvalid(name, [Fault(1, 1, "Is nested too deeply.")]) from error
    if node is not None:
        document.value = _NodeReader(document, environment).value(node, ())
    return document


class _NodeReader:
    """Turns YAML's nodes into the values of JSON."""

    def __init__(self, document: Document, environment: Mapping[str, str]) -> None:
        import yaml  # noqa: PLC0415 - as above

        self._document = document
        self._environment = environment
        self._constructor: Any = yaml.SafeLoader("")
        self._values = 0

    def value(self, node: Any, path: Path) -> Any:
        """Return the value of a node, and note its position and its faults."""
        self._document.positions[path] = (node.start_mark.line + 1, node.start_mark.column + 1)
        self._values += 1
        if self._values > MAX_VALUES or len(path) > MAX_DEPTH:
            raise FileInvalid(
                self._document.name,
                [Fault(node.start_mark.line + 1, 1, "Has too many values, or too deep ones.")],
            )
        match node.id:
            case "mapping":
                return self._mapping(node, path)
            case "sequence":
                return [self.value(each, (*path, i)) for i, each in enumerate(node.value)]
            case _:
                return self._scalar(node, path)

    def _mapping(self, node: Any, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name_node, value_node in node.value:
            name = name_node.value if name_node.id == "scalar" else None
            place = (*path, str(name))
            position = (name_node.start_mark.line + 1, name_node.start_mark.column + 1)
            if name is None or name_node.tag == f"{_YAML}merge":
                text = "A name must be a text. Use 'defaults' instead of '<<'."
                self._document.faults.append(Fault(*position, text))
                continue
            if name in found:
                self._document.faults.append(Fault(*position, f"{name!r} stands here twice."))
            found[name] = self.value(value_node, place)
        return found

    def _scalar(self, node: Any, path: Path) -> Any:
        if node.tag == _ENV:
            return self._from_environment(node.value, path)
        kind = node.tag.removeprefix(_YAML)
        if kind in {"str", "timestamp"}:
            return node.value
        if kind in {"null", "bool", "int", "float"}:
            try:
                return self._constructor.construct_object(node)
            except ValueError:
                self._document.refuse(path, f"{node.value!r} is no value: put it in quotes.")
                return None
        self._document.refuse(path, f"The tag {node.tag!r} is unknown. Use !env, or a plain text.")
        return None

    def _from_environment(self, text: str, path: Path) -> str:
        missing = [name for name in _VARIABLE.findall(text) if name not in self._environment]
        for name in missing:
            self._document.refuse(path, f"The environment has no variable {name}. Set it.")
        return _VARIABLE.sub(lambda match: self._environment.get(match[1], ""), text)
