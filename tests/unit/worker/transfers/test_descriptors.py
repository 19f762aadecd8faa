"""As many transfers as there are descriptors for."""

import subprocess
import sys

import pytest

CODE = """
import resource
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
soft, most = {soft}, {most} or hard
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, most))
from chronos_worker.transfers import descriptors
print(descriptors.transfers_within({wanted}), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize(
    ("soft", "most", "wanted", "fitting", "raised"),
    [
        (256, 1024, 1000, (1024 - 256) // 3, 1024),
        (256, 1024, 100, 100, 1024),
        (64, 256, 1000, 1, 256),
    ],
)
def test_the_limit_of_open_files_is_raised_and_transfers_fit_it(
    soft: int, most: int, wanted: int, fitting: int, raised: int
) -> None:
    code = CODE.format(soft=soft, most=most, wanted=wanted)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    *said, figures = done.stdout.splitlines()
    assert figures == f"{fitting} {raised}"
    assert any("limit of open files" in line for line in said) == (fitting < wanted)
