"""Commands and groups of the client: examples first in the help, common options, exit codes."""

import sys
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any

import click

from chronos_client.errors import (
    ApiProblem,
    ClientError,
    FileInvalid,
    ObjectMissing,
    ProfileUnusable,
    ServerAway,
    SeveralMatches,
    WaitTimedOut,
)

#: Values of the commands that are for the whole run. They stand in ``Context.meta``.
PROFILE, WORKSPACE, OUTPUT = "chronos.profile", "chronos.workspace", "chronos.output"

FORMATS = ("table", "json", "yaml", "csv", "name")


class Exit(IntEnum):
    """The exit codes of the command line."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    MISSING = 3
    REFUSED = 4
    NOT_RUN = 5
    SERVER_AWAY = 6


_CODES = (
    (ServerAway, Exit.SERVER_AWAY),
    (ObjectMissing, Exit.MISSING),
    (ApiProblem, Exit.REFUSED),
    (SeveralMatches, Exit.USAGE),
    (ProfileUnusable, Exit.USAGE),
    (WaitTimedOut, Exit.FAILED),
    (FileInvalid, Exit.USAGE),
    (ClientError, Exit.FAILED),
)


class CommandFailed(click.ClickException):
    """A sentence on standard error, and an exit code."""

    def __init__(self, message: str, code: Exit) -> None:
        super().__init__(visible(message))
        self.__dict__["exit_code"] = code


class ExampleCommand(click.Command):
    """A command whose help begins with examples."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **options: Any) -> None:
        super().__init__(*args, **options)
        self._examples = examples

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. An error of the client becomes a sentence and an exit code."""
        try:
            return super().invoke(ctx)
        except ClientError as error:
            raise CommandFailed(str(error), code_of(error)) from error

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the usage, examples, the text and the options."""
        _write_help(self, ctx, formatter, self._examples)


class ClientCommand(ExampleCommand):
    """A command that talks to a server."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.params += [_profile_option(), workspace_option(), _output_option()]


class ClientGroup(click.Group):
    """Commands of one noun."""

    command_class = ClientCommand

    def __init__(self, *args: Any, examples: Sequence[str] = (), **options: Any) -> None:
        super().__init__(*args, **options)
        self._examples = examples

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the usage, examples, the text and the commands."""
        _write_help(self, ctx, formatter, self._examples)


def code_of(error: ClientError) -> Exit:
    """Return the exit code of an error."""
    return next(code for kind, code in _CODES if isinstance(error, kind))


def visible(text: str) -> str:
    """Return a text without characters that a terminal would obey, except line feeds."""
    return "".join(
        each if each.isprintable() or each == "\n" else each.encode("unicode_escape").decode()
        for each in text
    )


def say(text: str) -> None:
    """Write a sentence for people, beside the data: on standard error."""
    click.echo(visible(text), err=True)


def ask(question: str) -> None:
    """Go on only if the user agrees. Without a terminal the command needs ``--yes``."""
    if not sys.stdin.isatty():
        raise CommandFailed(f"{question}? Say so with --yes.", Exit.USAGE)
    if not click.confirm(f"{question}?", err=True):
        raise CommandFailed("Nothing was changed.", Exit.USAGE)


def _write_help(
    command: click.Command,
    ctx: click.Context,
    formatter: click.HelpFormatter,
    examples: Sequence[str],
) -> None:
    command.format_usage(ctx, formatter)
    if examples:
        with formatter.section("Examples"):
            for example in examples:
                formatter.write(f"{'':>{formatter.current_indent}}{example}\n")
    command.format_help_text(ctx, formatter)
    command.format_options(ctx, formatter)
    command.format_epilog(ctx, formatter)


def workspace_option() -> click.Option:
    """Return the option for the workspace that a command works in."""
    return _meta_option(WORKSPACE, "--workspace", metavar="ID", help="One of several workspaces.")


def _profile_option() -> click.Option:
    return _meta_option(PROFILE, "--profile", help="Profile to use.  [default: the one in use]")


def _output_option() -> click.Option:
    return _meta_option(
        OUTPUT, "--output", "-o", type=click.Choice(FORMATS), default="table",
        help="Form of the data on standard output.",
    )  # fmt: skip


def _meta_option(key: str, *declarations: str, **options: Any) -> click.Option:
    def keep(ctx: click.Context, _option: click.Parameter, value: Any) -> Any:
        ctx.meta[key] = value
        return value

    callback: Callable[..., Any] = keep
    return click.Option(declarations, expose_value=False, callback=callback, **options)
