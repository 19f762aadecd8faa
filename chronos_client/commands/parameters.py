"""Types of arguments: jobs and executions with completion, instants, fields, documents."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from chronos_client import profiles
from chronos_client.commands.command import PROFILE
from chronos_client.errors import ClientError

_DISTANCE = re.compile(r"(\+?)(\d{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

#: Names that a shell offers at once, and how long it waits for them.
_OFFERED = 30
_COMPLETION_SECONDS = 2.0
#: Bound of a file with a definition. The API takes 1 MiB.
_MAX_FILE_BYTES = 4 * 1024 * 1024


class JobReference(click.ParamType[str]):
    """A job: its id, its name, or the only one whose name or id begins so."""

    name = "job"

    def shell_complete(
        self, ctx: click.Context, _param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return names that begin so. Without a server there are none."""
        from chronos_client.client import Chronos  # noqa: PLC0415 - requests takes long to load

        try:
            found = profiles.resolve(ctx.meta.get(PROFILE) or ctx.params.get("profile"))
            with Chronos(
                found.url,
                found.key,
                retry_seconds=0,
                timeout_seconds=_COMPLETION_SECONDS,
            ) as client:
                query = {"search": incomplete} if incomplete else {}
                names = [each.name for each in client.jobs.page(_OFFERED, **query)]
        except ClientError:
            return []  # a shell shows no errors while a line is typed
        beginning = incomplete.casefold()
        return [CompletionItem(each) for each in names if each.casefold().startswith(beginning)]


class InstantText(click.ParamType[datetime]):
    """An instant: ISO 8601, how long ago (90m, 12h, 7d), or in how long (+2h)."""

    name = "instant"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Return the instant. Without an offset it is one of this machine's clock."""
        if isinstance(value, datetime):
            return value
        if distance := _DISTANCE.fullmatch(value):
            plus, number, unit = distance.groups()
            now = datetime.now(UTC)  # noqa: TID251 - the client is an entry point
            length = timedelta(**{_UNITS[unit]: int(number)})
            return now + length if plus else now - length
        try:
            return datetime.fromisoformat(value).astimezone()
        except ValueError:
            self.fail(
                f"{value!r} is no instant. Write 2026-11-30T02:30, 12h for ago, or +2h.",
                param,
                ctx,
            )


class FieldChange(click.ParamType[tuple[str, Any]]):
    """A field of a job and its value, as ``name=value``. A value that is JSON is read as such."""

    name = "field=value"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Any]:
        """Return the name and the value."""
        if isinstance(value, tuple):
            return value
        name, separator, text = value.partition("=")
        if not separator or not name:
            self.fail(f"{value!r} has no '='. Write for example max_attempts=3.", param, ctx)
        try:
            return name, json.loads(text)
        except ValueError:
            return name, text


class PayloadPatch(click.ParamType[dict[str, Any]]):
    """A change of a payload, as JSON, or as ``@`` and the name of a file of JSON or YAML."""

    name = "JSON"

    def convert(
        self, value: Any, _param: click.Parameter | None, _ctx: click.Context | None
    ) -> dict[str, Any]:
        """Return the mapping."""
        if isinstance(value, dict):
            return value
        if value.startswith("@"):
            return read_document(Path(value[1:]))
        return parse_document(value, "The patch")


JOB = JobReference()
INSTANT = InstantText()
FIELD = FieldChange()
PATCH = PayloadPatch()


def read_document(path: Path) -> dict[str, Any]:
    """Return the mapping in a file of JSON or YAML, or of standard input for ``-``.

    Raises a usage error with the place of the first mistake.
    """
    try:
        with click.open_file(str(path), encoding="utf-8") as file:
            text = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise click.UsageError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{path} is no text in UTF-8.") from error
    if len(text) > _MAX_FILE_BYTES:
        raise click.UsageError(f"{path} is longer than {_MAX_FILE_BYTES} characters.")
    return parse_document(text, str(path))


def parse_document(text: str, source: str) -> dict[str, Any]:
    """Return the mapping in a text of JSON or YAML. Raises a usage error."""
    try:
        document = json.loads(text)
    except ValueError as error:
        document = _parse_yaml(text, source, error)
    if not isinstance(document, dict):
        raise click.UsageError(f"{source} has no mapping of fields to their values.")
    return document


def _parse_yaml(text: str, source: str, no_json: ValueError) -> Any:
    try:
        import yaml  # noqa: PLC0415 - an extra of the light distribution
    except ImportError as error:
        raise click.UsageError(
            f"{source} is no JSON: {no_json}. "
            "YAML needs PyYAML: pip install 'chronos-client[yaml]'."
        ) from error
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise click.UsageError(f"{source} is neither JSON nor YAML: {error}") from error
