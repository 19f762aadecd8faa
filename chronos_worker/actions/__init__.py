"""Actions: how an attempt of each type of job is made, one module per type, named like it.

Each module has ``build``, which returns the action. Only the module of webhooks has none, because
the transfer engine sends them (see ``chronos_worker.webhooks``).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from chronos_common.domain.executions import Claimed
from chronos_common.domain.payloads import TYPES, WEBHOOK, UnknownType
from chronos_common.errors import ChronosError
from chronos_common.settings import Settings
from chronos_worker.attempts import Action
from chronos_worker.emails.mailer import Mailer

#: Marks the requests and e-mails of test runs, for which an action is built with ``is_test``.
TEST_HEADER: Final = "X-Chronos-Test"

#: Returns the history of an execution's earlier attempts.
History = Callable[[Claimed], Sequence[Mapping[str, Any]]]


class ActionMissing(ChronosError):
    """A type of job has no action."""

    def __init__(self, job_type: str) -> None:
        super().__init__(
            f"No worker can perform jobs of type {job_type!r}: {__name__}.{job_type} with a "
            "function named build is missing."
        )


@dataclass(frozen=True, slots=True)
class Tools:
    """What actions are built from."""

    settings: Settings
    mailer: Mailer
    history: History = lambda _: ()
    is_test: bool = False


class Actions(dict[str, Action]):
    """Actions by the types of the jobs that they are for."""

    def __missing__(self, job_type: str) -> Action:
        raise UnknownType(job_type)


def build(tools: Tools) -> Actions:
    """Return the actions of all types but the webhook's.

    Raises :class:`ActionMissing` if a type has none.
    """
    return Actions({name: _builder(name)(tools) for name in TYPES if name != WEBHOOK.name})


def _builder(job_type: str) -> Callable[[Tools], Action]:
    path = f"{__name__}.{job_type}"
    try:
        module = import_module(path)
    except ModuleNotFoundError as error:
        if error.name != path:
            raise
        raise ActionMissing(job_type) from None
    builder: Callable[[Tools], Action] | None = getattr(module, "build", None)
    if builder is None:
        raise ActionMissing(job_type)
    return builder
