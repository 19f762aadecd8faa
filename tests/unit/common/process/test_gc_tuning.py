"""How Python is set: what nobody refers to any more does not pile up."""

import subprocess
import sys

_LEAVE_GARBAGE = """
import weakref
from chronos_common.process import startup

class Knot:
    def __init__(self):
        self.itself = self
        living.add(id(self))
        weakref.finalize(self, living.discard, id(self))

startup.tune_garbage_collection()
living, most = set(), 0
for _ in range(100_000):
    Knot()
    most = max(most, len(living))
print(most)
"""


def test_garbage_that_refers_to_itself_does_not_pile_up() -> None:
    """Fails with the threshold of 200,000 with which a scheduler grew by 18 MiB."""
    done = subprocess.run(
        [sys.executable, "-c", _LEAVE_GARBAGE], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 30_000
