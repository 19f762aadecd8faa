"""Passwords that others would guess: common ones, patterns, and parts of one's own address."""

import re

from zxcvbn_rs_py import zxcvbn

from chronos_api.security.password_hashing import MIN_LENGTH
from chronos_common.domain.addresses import email_key
from chronos_common.errors import Invalid

#: The guesses that a password must take (zxcvbn, Wheeler 2016). The hash slows each one down.
LEAST_GUESSES = 10**8
#: The time to judge grows faster than the length, so that the rest is not looked at.
JUDGED_LENGTH = 32

_PRODUCT = "chronos"
_SHORTEST_WORD = 4


class WeakPassword(Invalid):
    """A password that others would guess."""


def check(password: str, email: str, *, field: str = "password") -> None:
    """Raise :class:`WeakPassword`, which names ``field``, if others would guess the password."""
    found = fault(password, email)
    if found is not None:
        raise WeakPassword({field: [found]})


def fault(password: str, email: str) -> str | None:
    """Return the reason why a password of that account is too weak, with the remedy, or None."""
    key = email_key(email)
    words = {word for word in re.split(r"[^a-z0-9]+", key) if len(word) >= _SHORTEST_WORD}
    own = sorted({key, key.partition("@")[0], _PRODUCT} | words, key=len, reverse=True)
    rest = email_key(password)
    for word in own:
        rest = rest.replace(word, "") if len(word) >= _SHORTEST_WORD else rest
    if len(rest) < MIN_LENGTH:
        return (
            "Consists of parts of your e-mail address, or nearly. Take several words that do not "
            "belong together."
        )
    judged = zxcvbn(password[:JUDGED_LENGTH], own)
    if judged.guesses >= LEAST_GUESSES:
        return None
    warning = str(judged.feedback.warning) if judged.feedback else ""
    reason = f"Too easy to guess. {warning}".strip()
    return f"{reason} Take several words that do not belong together."
