import argon2

from chronos_api.security import password_hashing


def test_a_missing_account_costs_what_a_wrong_password_costs() -> None:
    stored = password_hashing.hash_of("a password")
    nobody = argon2.extract_parameters(password_hashing._NOBODY)
    assert nobody == argon2.extract_parameters(stored)
    assert len(password_hashing._NOBODY) == len(stored)


def test_nobody_has_the_password_of_a_missing_account() -> None:
    assert not password_hashing.matches("a password", None)
    assert not password_hashing.matches("a password", password_hashing.hash_of("another"))
    assert password_hashing.matches("a password", password_hashing.hash_of("a password"))
