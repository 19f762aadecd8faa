"""The repository's own files, which tests hold against the code."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
