"""The package that every part of Chronos stands on. It imports none of the others."""

from importlib.metadata import version

__version__ = version("chronos-scheduler")
