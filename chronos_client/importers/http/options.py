"""Reads the options of a command line, as ``getopt_long`` does."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from chronos_client.importers.outcome import LeftOut


@dataclass(frozen=True, slots=True)
class Grammar:
    """The options of a program. Values of the mappings are long names."""

    program: str
    short: Mapping[str, str]
    with_value: frozenset[str]
    flags: frozenset[str]

    def read(self, words: Sequence[str]) -> Iterator[tuple[str | None, str]]:
        """Yield options by their long name with their value, and arguments with None.

        Raises :class:`LeftOut` for an option that is not known.
        """
        rest = list(words)
        while rest:
            word = rest.pop(0)
            if word == "--":
                yield from ((None, each) for each in rest)
                return
            if word.startswith("--"):
                yield self._long(word[2:], rest)
            elif word.startswith("-") and len(word) > 1:
                yield from self._short(word[1:], rest)
            else:
                yield None, word

    def _long(self, text: str, rest: list[str]) -> tuple[str, str]:
        name, equals, value = text.partition("=")
        if name in self.flags and not equals:
            return name, ""
        if name in self.with_value:
            return name, value if equals else self._next(f"--{name}", rest)
        raise self._unknown(f"--{name}")

    def _short(self, letters: str, rest: list[str]) -> Iterator[tuple[str, str]]:
        for place, letter in enumerate(letters, start=1):
            name = self.short.get(letter)
            if name is None:
                raise self._unknown(f"-{letter}")
            if name in self.with_value:
                yield name, letters[place:] or self._next(f"-{letter}", rest)
                return
            yield name, ""

    def _next(self, option: str, rest: list[str]) -> str:
        if not rest:
            raise LeftOut(f"The option {option} of {self.program} has no value.")
        return rest.pop(0)

    def _unknown(self, option: str) -> LeftOut:
        return LeftOut(f"The option {option} of {self.program} has no equal in a job.")
