"""Passwords that others would guess are refused, in a bounded time."""

import time

import pytest

from chronos_api.security.password_strength import fault

EMAIL = "jane.doe@initech.example"


@pytest.mark.parametrize("password", ["SecurePass123!", "Another password", "k3x9a8q2mz"])
def test_a_password_that_takes_many_guesses_is_good(password: str) -> None:
    assert fault(password, EMAIL) is None


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("Password123!", "commonly used"),
        ("P@ssw0rd2026", "commonly used"),
        ("aaaaaaaaaaaaaaaa", "Repeats"),
        ("qwertyuiop12", "Too easy"),
        ("abcdefghijklmnop", "Sequences"),
        ("JANE.DOE@initech.example", "e-mail address"),
        ("Jane.Doe-Initech-1", "e-mail address"),
        ("chronos-chronos-1", "e-mail address"),
    ],
)
def test_a_password_that_others_would_guess_is_refused_with_the_reason(
    password: str, reason: str
) -> None:
    found = fault(password, EMAIL)
    assert found is not None
    assert reason in found
    assert "several words" in found


def test_a_hostile_password_is_judged_in_a_bounded_time() -> None:
    """Letters that stand for several others: 64 of them would take ten times as long."""
    before = time.process_time()
    fault("4@8({[3691!|05$7+%2" * 6, EMAIL)
    # It takes 0.1 s on a quiet machine.
    assert time.process_time() - before < 1
