"""Which ``CHRONOS_*`` variables of an environment are settings, and which are not.

Kubernetes describes every Service of a namespace in variables of each container, as Docker did for
its links: a Service ``chronos-api`` gives ``CHRONOS_API_PORT=tcp://10.0.0.1:8080``. Those are not
for us. A name that is neither theirs nor a setting's is probably misspelt. It is reported, but
prevents no start. During an upgrade or a downgrade, the environment may hold settings of the other
version.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches

PREFIX = "CHRONOS_"

#: Variables of the client, which may stand in the environment of a server as well.
_OF_THE_CLIENT = frozenset(
    f"{PREFIX}{name}" for name in ("API_KEY", "PROFILE", "PROFILES_FILE", "URL")
)

#: Prefixes of variables that only tests set.
_OF_TESTS = (f"{PREFIX}FAULT_", f"{PREFIX}TEST_")

_LINK = re.compile(r"(tcp|udp|sctp)://\S+")
_SERVICE_NAME = re.compile(
    rf"{PREFIX}(\w+_)?(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)

#: Least similarity of a name and the setting that it may mean.
_ALIKE = 0.7


def of_services(environment: Mapping[str, str]) -> list[str]:
    """Return the names that describe a Service, whether or not a setting has the same name."""
    return sorted(
        name
        for name, value in environment.items()
        if _SERVICE_NAME.fullmatch(name)
        or (name.startswith(PREFIX) and name.endswith("PORT") and _LINK.fullmatch(value))
    )


def unknown(names: Iterable[str], settings: Collection[str]) -> list[str]:
    """Return the ``names`` that begin like a setting and are none."""
    known = _OF_THE_CLIENT.union(settings)
    ours = (name for name in names if name.startswith(PREFIX) and name not in known)
    return sorted(name for name in ours if not name.startswith(_OF_TESTS))


def describe(name: str, settings: Collection[str]) -> str:
    """Return a sentence about a name that is no setting. Its value is never shown."""
    alike = get_close_matches(name, settings, n=1, cutoff=_ALIKE)
    hint = f"Did you mean {alike[0]}?" if alike else "Remove it; the README lists them all."
    return f"{name} is no setting and has no effect. {hint}"
