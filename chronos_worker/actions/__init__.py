"""Actions: how an attempt of each type of job is made, one module per type, named like it.

Each module has ``build``, which returns the action. Executions of webhooks do not use theirs,
which would occupy a thread (see ``chronos_worker.webhooks``).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from chronos_common.domain.executions import Claimed
from chronos_common.domain.payloads import UnknownType
from chronos_common.errors import ChronosError
from chronos_common.settings import Settings
from chronos_worker.attempts import Action
from chronos_worker.emails.mailer import Mailer
from chronos_worker.emails.permission import MailPermission
from chronos_worker.http.request import TransferRequest
from chronos_worker.transfers.results import TransferResult

#: Marks the requests and e-mails of test runs, for which an action is built with ``is_test``.
TEST_HEADER: Final = "X-Chronos-Test"

#: Returns the history of an execution's earlier attempts.
History = Callable[[Claimed], Sequence[Mapping[str, Any]]]

#: Sends a request, and returns its result.
Transfer = Callable[[TransferRequest], TransferResult]


class ActionMissing(ChronosError):
    """A type of job has no action."""

    def __init__(self, action_type: str) -> None:
        super().__init__(
            f"No worker can perform jobs of type {action_type!r}: {__name__}.{action_type} with a "
            "function named build is missing."
        )


def _no_transfer(_: TransferRequest) -> TransferResult:
    raise AssertionError("only test runs send webhooks by their action")


@dataclass(frozen=True, slots=True)
class Tools:
    """The parts that actions are built from."""

    settings: Settings
    mailer: Mailer
    permission: MailPermission
    history: History = lambda _: ()
    transfer: Transfer = _no_transfer
    is_test: bool = False


class Actions(dict[str, Action]):
    """Actions by the types of the jobs that they are for."""

    def __missing__(self, action_type: str) -> Action:
        raise UnknownType(action_type)


def build(tools: Tools, action_types: Collection[str]) -> Actions:
    """Return the actions of these types. Raises :class:`ActionMissing` if one has none."""
    return Actions({action_type: _builder(action_type)(tools) for action_type in action_types})


def _builder(action_type: str) -> Callable[[Tools], Action]:
    path = f"{__name__}.{action_type}"
    try:
        module = import_module(path)
    except ModuleNotFoundError as error:
        if error.name != path:
            raise
        raise ActionMissing(action_type) from None
    builder: Callable[[Tools], Action] | None = getattr(module, "build", None)
    if builder is None:
        raise ActionMissing(action_type)
    return builder
