"""The programs of logins in a few words: their own names are long and full of history."""

from collections.abc import Sequence

# Each claims to be those after it: Edge says that it is Chrome and Safari, too.
_BROWSERS: Sequence[tuple[str, str]] = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS: Sequence[tuple[str, str]] = (
    ("Windows", "Windows"),
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)
_LONGEST = 60


def program(user_agent: str | None) -> str:
    """Return ``Firefox on Windows`` for a browser, or else the beginning of the name."""
    if not user_agent:
        return "an unknown program"
    browser = next((name for token, name in _BROWSERS if token in user_agent), None)
    if browser is None:
        return user_agent[:_LONGEST]
    system = next((name for token, name in _SYSTEMS if token in user_agent), None)
    return f"{browser} on {system}" if system else browser
