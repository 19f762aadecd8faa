import argon2

from chronos_api import passwords


def test_a_missing_account_costs_what_a_wrong_password_costs() -> None:
    stored = passwords.hash_of("a password")
    nobody = argon2.extract_parameters(passwords._NOBODY)
    assert nobody == argon2.extract_parameters(stored)
    assert len(passwords._NOBODY) == len(stored)


def test_nobody_has_the_password_of_a_missing_account() -> None:
    assert not passwords.matches("a password", None)
    assert not passwords.matches("a password", passwords.hash_of("another"))
    assert passwords.matches("a password", passwords.hash_of("a password"))
