"""Which tests run in the same pytest worker: those of a group, which share servers."""

import re
from functools import cache

from xdist.scheduler import LoadGroupScheduling

from repository import ROOT

_MARK = re.compile(r"xdist_group\(\"([\w-]+)\"\)")


class GroupScheduling(LoadGroupScheduling):
    """Keeps the tests of a group together, by the marks in their files.

    xdist 3.8 writes the group into the ids of tests, which pytest 9.2 does not let it change. Then
    it ignores groups without a word (https://github.com/pytest-dev/pytest-xdist/issues/1386).
    """

    def _split_scope(self, nodeid):
        return group_of(nodeid.partition("::")[0]) or nodeid


@cache
def group_of(path):
    """Return the group that a file of tests names, or None.

    A file with a fixture for all of its tests is a group of its own.
    """
    text = (ROOT / path).read_text()
    if found := _MARK.search(text):
        return found[1]
    return path if 'scope="module"' in text else None
