"""One installation for all the fault tests of a file, which they share in turn."""

from collections.abc import Iterator

import pytest

from acceptance.faults.stage import Stage, stage


@pytest.fixture(scope="module")
def shared_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Two schedulers, two workers and an API that run as long as the file's tests."""
    with stage(tmp_path_factory.mktemp("stage")) as shared:
        yield shared
