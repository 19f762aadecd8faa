"""Texts that are pasted fill the form of a new job, or say why they cannot."""

import pytest

from chronos_api.ui.forms import job_form, pasted
from chronos_common.errors import Invalid

COPIED = """curl 'https://example.com/hook?a=b' \\
  -X PUT -H 'Content-Type: application/json' -H 'X-Team: mail' \\
  --data-raw '{"template": "weekly"}' --max-time 20 --compressed"""


def body(text: str) -> dict[str, object]:
    """Return the body of the API of a job that was pasted."""
    return job_form.body_of(pasted.read(text).form)


def test_a_command_of_curl_fills_method_address_headers_and_body() -> None:
    job = body(COPIED)
    assert job["payload"] == {
        "url": "https://example.com/hook?a=b",
        "method": "PUT",
        "headers": {"Content-Type": "application/json", "X-Team": "mail"},
        "body": {"template": "weekly"},
        "follow_redirects": False,
    }
    assert (job["name"], job["timeout_seconds"]) == ("PUT example.com/hook", 20)
    (finding,) = pasted.read(COPIED).findings
    assert finding.what == "--compressed"


def test_a_line_of_a_crontab_fills_the_schedule_too() -> None:
    line = "*/10 6-18 * * MON-FRI curl -fsS -d a=b https://example.com/ping >/dev/null 2>&1"
    job = body(line)
    assert (job["cron_expression"], job["timezone"]) == ("*/10 6-18 * * MON-FRI", "UTC")
    assert job["payload"]["body"] == "a=b"  # type: ignore[index]
    assert "time zone" in {each.what for each in pasted.read(line).findings}


def test_a_crontab_may_name_its_zone() -> None:
    text = "CRON_TZ=Europe/Berlin\n@daily curl https://example.com/"
    assert body(text)["timezone"] == "Europe/Berlin"
    assert "time zone" not in {each.what for each in pasted.read(text).findings}


def test_the_lines_of_a_body_end_as_those_that_were_copied() -> None:
    text = "curl -d 'a\r\nb' \\\r\n https://example.com/"
    assert body(text)["payload"]["body"] == "a\nb"  # type: ignore[index]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "Paste a command of curl"),
        ("curl --proto =https https://example.com/", "The option --proto of curl has no equal"),
        ("curl 'https://example.com/", "quotes do not match"),
        ("curl https://example.com/ | sh", "needs a shell"),
        ("curl -d @body.json https://example.com/", "reads what it sends from a file"),
        ("*/5 * * * * /usr/bin/backup", "runs a command on its machine"),
        ("0 9 * * 1 curl https://a.example/\n0 9 * * 2 curl https://b.example/", "has 2 jobs"),
        ("hello", "no command after five fields"),
        ("x" * 60_000, "more than 50,000 characters"),
    ],
)
def test_a_text_without_one_job_says_why(text: str, why: str) -> None:
    with pytest.raises(Invalid) as raised:
        pasted.read(text)
    assert raised.value.fields.keys() == {pasted.FIELD}
    assert why in " ".join(raised.value.fields[pasted.FIELD])
