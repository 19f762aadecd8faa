"""Tests of one group run in one pytest worker, so that they share their servers."""

import pytest

from repository import ROOT
from scheduling import group_of

pytestmark = pytest.mark.xdist_group("groups")


@pytest.mark.parametrize("number", range(6))
def test_the_tests_of_a_group_run_in_one_worker(
    tmp_path_factory: pytest.TempPathFactory, worker_id: str, testrun_uid: str, number: int
) -> None:
    """Fails if groups are ignored: then each worker starts the servers of a group again."""
    workers = tmp_path_factory.getbasetemp().parent / f"workers-{testrun_uid}"
    with workers.open("a") as file:
        file.write(f"{worker_id}\n")
    assert set(workers.read_text().split()) == {worker_id}, number


def test_a_file_with_a_fixture_for_all_of_its_tests_is_a_group() -> None:
    file = "tests/unit/project/test_deploy.py"
    assert 'scope="module"' in (ROOT / file).read_text()
    assert group_of(file) == file
    assert group_of("tests/unit/domain/test_outcomes.py") is None


def test_every_mark_of_a_group_is_found() -> None:
    marked = [
        path for path in (ROOT / "tests").rglob("test_*.py") if "xdist_group" in path.read_text()
    ]
    assert marked
    assert all(group_of(str(path.relative_to(ROOT))) for path in marked)
