"""Accounts of people: registration, login, passwords, verification, administration."""
