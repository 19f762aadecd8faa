"""Files of jobs as code: every fault at once, with its line and column."""

import pytest

from chronos_client.errors import FileInvalid
from chronos_client.scopes.files import JobsFile, parse

FILE = """\
scope: shop
defaults:
  timezone: Europe/Berlin
  tags: [shop]
jobs:
  - name: a
    run_at: 2030-01-01T09:00:00Z
    payload:
      url: https://example.com
      headers: {Authorization: !env "Bearer ${TOKEN}"}
  - name: b
    tags: []
    max_attempts: 7
"""


def parsed(text: str, **environment: str) -> JobsFile:
    return parse(text, name="jobs.yaml", environment=environment)


def faults(text: str, **environment: str) -> list[tuple[int, int, str]]:
    with pytest.raises(FileInvalid) as raised:
        parsed(text, **environment)
    return [(each.line, each.column, each.text) for each in raised.value.faults]


def test_jobs_have_the_defaults_that_they_do_not_give() -> None:
    found = parsed(FILE, TOKEN="t")
    first, second = found.jobs
    assert (found.scope, first["timezone"], first["tags"]) == ("shop", "Europe/Berlin", ["shop"])
    assert (second["tags"], second["max_attempts"]) == ([], 7)
    assert first["payload"]["headers"] == {"Authorization": "Bearer t"}
    # YAML has instants of its own. They are sent as they are written.
    assert first["run_at"] == "2030-01-01T09:00:00Z"


def test_all_faults_are_named_at_once() -> None:
    wrong = FILE.replace("scope: shop", "scop: shop").replace(
        "    max_attempts: 7", "  - 7\n  - ["
    )
    assert faults(wrong)[0][2].startswith("Is no YAML")
    wrong = FILE.replace("scope: shop", "scop: shop").replace(
        "    max_attempts: 7", "    tags: 1\n  - 7"
    )
    assert [(line, column) for line, column, _ in faults(wrong)] == [
        (1, 1),
        (1, 7),
        (10, 32),
        (13, 5),
        (14, 5),
    ]


def test_a_variable_that_is_missing_is_named() -> None:
    assert faults(FILE) == [(10, 32, "The environment has no variable TOKEN. Set it.")]


def test_errors_of_the_server_are_found_in_the_file() -> None:
    found = parsed(FILE, TOKEN="t")
    errors = [
        {"index": 1, "field": "max_attempts", "message": "At most 50."},
        {"index": 0, "field": "timezone", "message": "Is none."},
        {"index": 0, "field": "payload.headers.Authorization", "message": "No."},
        {"index": 1, "field": "payload", "message": "Missing; it is required."},
        {"field": "scope", "message": "Too long."},
    ]
    invalid = found.faults_of(errors)
    assert str(invalid).splitlines() == [
        "jobs.yaml:1:8: scope: Too long.",
        "jobs.yaml:3:13: job 'a': timezone: Is none.",
        "jobs.yaml:10:32: job 'a': payload.headers.Authorization: No.",
        "jobs.yaml:11:5: job 'b': payload: Missing; it is required.",
        "jobs.yaml:13:19: job 'b': max_attempts: At most 50.",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "just text",
        "jobs: []",
        "scope: a\njobs: {}",
        "scope: a\ndefaults: 1\njobs: []",
        "scope: a\ndefaults: {name: x}\njobs: []",
        "scope: a\njobs:\n  - <<: {a: 1}",
        "scope: a\njobs: [{name: !python/object x}]",
        "scope: a\njobs: [{name: 1:99:9_9.x, ? [a] : b}]",
        "a: &a [x]\nb: &b ["
        + ",".join(["*a"] * 50)
        + "]\nc: &c ["
        + ",".join(["*b"] * 50)
        + "]\nd: &d ["
        + ",".join(["*c"] * 50)
        + "]\ne: ["
        + ",".join(["*d"] * 50)
        + "]",
        "&a [*a]",
        "[" * 200 + "]" * 200,
    ],
)
def test_what_is_no_file_of_jobs_is_refused(text: str) -> None:
    assert faults(text)
