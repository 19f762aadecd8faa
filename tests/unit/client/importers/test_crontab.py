"""Crontabs: the shapes that people have, and what becomes of each line."""

import pytest

import accepted_jobs
from chronos_client.importers import crontab, documents
from chronos_client.importers.outcome import Outcome, SourceUnreadable

URL = "https://example.com/a"


def read(text: str, **options: object) -> Outcome:
    outcome = crontab.read(text, **{"timezone": "UTC", **options})
    accepted_jobs.check(outcome.jobs)
    return outcome


def reason(line: str, **options: object) -> str:
    outcome = read(line, **options)
    assert outcome.jobs == []
    (finding,) = outcome.findings
    assert (finding.place.line, finding.what) == (1, line)
    return finding.why


def details(outcome: Outcome) -> set[str]:
    return {each.what for each in outcome.findings if each.is_left_out}


def job(line: str) -> dict:
    outcome = read(line)
    assert outcome.is_exact, outcome.findings
    return outcome.jobs[0]


def test_a_crontab_of_a_shop() -> None:
    outcome = read(
        "SHELL=/bin/bash\nMAILTO=ops@example.com,dev@example.com\nCRON_TZ=Europe/Berlin\n\n"
        "# Send what is due\n"
        "*/10 7-19 * * MON-FRI curl -fsS -m 30 -X POST "
        "-H 'Authorization: Bearer abc' -H 'content-type: application/json' -d '{}' "
        "https://shop.example.com/api/send > /dev/null 2>&1\n"
    )
    assert outcome.is_exact
    assert outcome.jobs == [
        {
            "name": "POST shop.example.com/api/send",
            "description": "Send what is due",
            "type": "webhook",
            "payload": {
                "url": "https://shop.example.com/api/send",
                "method": "POST",
                "headers": {
                    "Authorization": "Bearer abc",
                    "content-type": "application/json",
                },
                "body": "{}",
                "follow_redirects": False,
            },
            "schedule_type": "cron",
            "cron_expression": "*/10 7-19 * * MON-FRI",
            "timezone": "Europe/Berlin",
            "max_attempts": 1,
            "notify": ["ops@example.com", "dev@example.com"],
            "timeout_seconds": 30.0,
        }
    ]


def test_a_file_of_cron_d_with_users() -> None:
    outcome = read(
        "PATH=/usr/bin:/bin\n"
        "*/5 * * * *\twww-data\twget -q -t 1 https://example.com/cron.php -O /dev/null\n"
        "@hourly root /usr/sbin/logrotate /etc/logrotate.conf\n"
        "0 4 * * * root\n",
        has_users=True,
    )
    (made,) = outcome.jobs
    assert made["payload"] == {"url": "https://example.com/cron.php", "method": "GET"}
    assert [each.place.line for each in outcome.findings if each.job is None] == [3, 4]


def test_a_line_of_cron_d_without_a_user_is_told_from_one_with_a_user() -> None:
    assert "the kind is crontab" in reason(f"0 0 * * * curl -s {URL}", has_users=True)


def test_a_crontab_of_a_content_management_system() -> None:
    outcome = read(
        "*/5 * * * * curl -s https://example.com/wp-cron.php?doing_wp_cron=1 > /dev/null 2>&1\n"
        "*/5 * * * * wget -qO- --no-check-certificate https://127.0.0.1/c.php>> /var/log/c\n"
    )
    first, second = outcome.jobs
    assert first["payload"]["url"] == "https://example.com/wp-cron.php?doing_wp_cron=1"
    assert second["payload"]["verify_tls"] is False
    assert details(outcome) == {"time limit", "--tries", "output"}
    assert "host" in {each.what for each in outcome.findings if not each.is_left_out}


def test_a_crontab_with_commands_of_its_machine() -> None:
    outcome = read(
        "30 2 * * * /usr/local/bin/backup.sh\n"
        "@reboot sleep 60 && /opt/app/start\n"
        "0 3 * * 0 find /tmp -mtime +7 -delete\n"
        "* * * * * curl -f http://localhost:3000/health || echo down\n"
        '0 8 * * * [ "$(date +\\%u)" = 1 ] && curl -s https://example.com/weekly\n'
    )
    assert outcome.jobs == []
    assert [each.place.line for each in outcome.findings] == [1, 2, 3, 4, 5]


def test_a_crontab_with_comments_and_doubles() -> None:
    line = f"0 1 * * * curl -m 5 {URL}\n"
    outcome = read(f"# m h dom mon dow command\n\n# First\n{line}{line}# Last\n")
    assert [each["name"] for each in outcome.jobs] == [
        "GET example.com/a",
        "GET example.com/a (2)",
    ]
    assert [each.get("description") for each in outcome.jobs] == ["First", None]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (f"@reboot curl {URL}", "starts"),
        (f"@every_minute curl {URL}", "not a time"),
        (f"0~30 * * * * curl {URL}", "random"),
        ("0 0 * * * mail -s x a@example.com%Hello", "input"),
        (f"0 0 * * * curl {URL} | sh", "'|'"),
        (f"0 0 * * * curl {URL}?t=$TOKEN", "variable $TOKEN"),
        (f"0 0 * * * root /usr/bin/curl {URL}", "the kind is cron.d"),
        (f"5/10 0 * * * curl {URL}", "range with the step"),
        (f"0 0 * * * curl -H 'Host: b.example' {URL}", "b.example"),
        (f"0 0 * * * curl -H 'a b: c' {URL}", "characters"),
        (f"0 0 * * * curl -I -d a=1 {URL}", "HEAD"),
        (f'0 0 * * * curl "{URL}?d=`date`"', "'`'"),
        (f"0 0 * * * cd /x; curl {URL}", "';'"),
        (f"0 0 * * * flock -n /tmp/l curl {URL}", "'flock' around"),
        (f"60 0 * * * curl {URL}", "0-59"),
        (f"0 0 * * * curl -d @body.json {URL}", "file"),
        (f"0 0 * * * curl -F a=b {URL}", "-F"),
        (f"0 0 * * * curl --proxy http://p {URL}", "--proxy"),
        (f"0 0 * * * curl {URL} {URL}", "2 URLs"),
        ("0 0 * * * curl https://example.com/[1-3]", "brackets"),
        (f"0 0 * * * curl -X BREW {URL}", "BREW"),
        ("0 0 * * * curl ftp://example.com/a", "http or https"),
        (f"0 0 * * * curl 'x {URL}", "quotes"),
        ("0 0 * * *", "no command"),
        (f"0 0 * * * curl -m soon {URL}", "not a number"),
    ],
)
def test_a_line_that_cannot_be_said_is_left_out_with_its_reason(line: str, why: str) -> None:
    assert why.lower() in reason(line).lower()


@pytest.mark.parametrize(
    ("options", "payload"),
    [
        ("", {"method": "GET", "follow_redirects": False}),
        ("-L", {"method": "GET"}),
        ("-sfLk", {"method": "GET", "verify_tls": False}),
        ("-LXPUT", {"method": "PUT"}),
        ("-L -I", {"method": "HEAD"}),
        ("-L -G -d a=1 --data-urlencode 'b=x y'", {"url": f"{URL}?a=1&b=x%20y", "method": "GET"}),
        (
            "-L -u ann:secret",
            {"method": "GET", "headers": {"Authorization": "Basic YW5uOnNlY3JldA=="}},
        ),
        (
            "-L -A bot -e https://x.example/",
            {"method": "GET", "headers": {"User-Agent": "bot", "Referer": "https://x.example/"}},
        ),
        (
            "-L -d a=1 -d b=2",
            {
                "method": "POST",
                "headers": {"Content-Type": "application/x-www-form-urlencoded"},
                "body": "a=1&b=2",
            },
        ),
        (
            "-L --json '{\"a\": 1}'",
            {
                "method": "POST",
                "headers": {"Content-Type": "application/json", "Accept": "application/json"},
                "body": '{"a": 1}',
            },
        ),
        ("-L -d a=1 -H 'Content-Type:'", {"method": "POST", "body": "a=1"}),
        ("-L -H 'Host: example.com' -sS", {"method": "GET"}),
        (
            "-L -d a=50\\%",
            {
                "method": "POST",
                "headers": {"Content-Type": "application/x-www-form-urlencoded"},
                "body": "a=50%",
            },
        ),
    ],
)
def test_the_options_of_curl_become_a_request(options: str, payload: dict) -> None:
    made = job(f"0 0 * * * /usr/bin/curl -m 5 {options} {URL}")
    assert made["payload"] == {"url": URL, **payload}


def test_a_bound_around_the_command_is_the_time_limit() -> None:
    assert job(f"0 0 * * * timeout 2m curl -L {URL}")["timeout_seconds"] == 120
    assert job(f"0 0 * * * timeout 9 curl -m 20 {URL}")["timeout_seconds"] == 9


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ("--retry 3", "--retry"),
        ("-o /tmp/a", "--output"),
        ("--connect-timeout 3", "--connect-timeout"),
        ("--compressed", "--compressed"),
        ("--http2 --retry-all-errors", "--http2"),
        ("-D /tmp/headers", "--dump-header"),
        ("-H 'A: 1' -H 'a: 2'", "header a"),
        ("-H 'Expect: 100-continue'", "header Expect"),
        ("-m 900", "time limit"),
    ],
)
def test_a_detail_that_the_job_lacks_is_named(options: str, what: str) -> None:
    line = f"0 0 * * * curl {'' if '-m' in options else '-m 5'} {options} {URL}"
    outcome = read(line)
    assert len(outcome.jobs) == 1
    assert details(outcome) == {what}


def test_a_file_without_a_zone_says_that_utc_is_a_guess() -> None:
    outcome = crontab.read(f"0 9 * * * curl -m 5 {URL}\n")
    assert details(outcome) == {"time zone"}
    assert crontab.read(f"0 9 * * * curl -m 5 {URL}\n", timezone="Asia/Tokyo").is_exact


def test_a_local_mailbox_is_named_and_an_empty_one_means_nobody() -> None:
    line = f"0 9 * * * curl -m 5 {URL}\n"
    assert read(f'MAILTO=""\n{line}').jobs[0]["notify"] == []
    local = read(f"MAILTO=root\n{line}")
    assert "notify" not in local.jobs[0]
    assert details(local) == {"MAILTO=root"}


def test_a_text_that_is_too_long_is_refused() -> None:
    with pytest.raises(SourceUnreadable, match="MiB"):
        crontab.read("#" * (documents.MAX_BYTES + 1))
    with pytest.raises(SourceUnreadable, match="1000 jobs"):
        crontab.read(f"0 9 * * * curl -m 5 {URL}\n" * 1001)
