"""The client of Chronos: ``Chronos(url, key)`` for programs, and the command line for people.

It imports none of the server's packages. The names below are loaded when they are used, so that
the command line can show its help without loading an HTTP library.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chronos_client.client import Chronos
    from chronos_client.errors import (
        ApiProblem,
        ClientError,
        NotLoggedIn,
        ObjectMissing,
        ServerAway,
        SeveralMatches,
        SignatureInvalid,
        WaitTimedOut,
    )
    from chronos_client.models import Execution, Job

__all__ = [
    "ApiProblem",
    "Chronos",
    "ClientError",
    "Execution",
    "Job",
    "NotLoggedIn",
    "ObjectMissing",
    "ServerAway",
    "SeveralMatches",
    "SignatureInvalid",
    "WaitTimedOut",
]

_MODULES = {"Chronos": "client", "Job": "models", "Execution": "models"}


def __getattr__(name: str) -> Any:
    """Load a public name at its first use (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES.get(name, 'errors')}"), name)
