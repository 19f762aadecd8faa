"""A new type of job is two modules, its payload and its action; all else follows from them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from repository import ROOT

PAYLOAD = '''
"""Text messages."""

from dataclasses import dataclass

from chronos_common.domain.payloads.fields import OneLine, PayloadField, String, redacted
from chronos_common.domain.payloads.payload_type import PayloadType


@dataclass(frozen=True)
class TextMessage:
    text: str
    token: str
    sender: str = "Chronos"


TEXT_MESSAGE = PayloadType(
    "text_message",
    queue="text_messages",
    description="A text message",
    promise="the gateway has the message",
    is_handed_on=True,
    build=TextMessage,
    fields=[
        PayloadField("text", OneLine(1, longest=160), required=True),
        PayloadField("token", String(1), required=True, redact=redacted),
        PayloadField("sender", OneLine(1, longest=11)),
    ],
)
'''

ACTION = '''
"""The text message action."""

from chronos_common import clock
from chronos_common.domain.executions import Attempt
from chronos_common.domain.outcomes import Succeeded
from chronos_common.domain.payloads.text_message import TEXT_MESSAGE


def build(tools):
    def perform(execution, job):
        message = TEXT_MESSAGE.parse(job.payload)
        request = {"text": message.text, "is_test": tools.is_test}
        return Succeeded(), Attempt(started_at=clock.now(), duration_ms=0, request=request)

    return perform
'''

SCRIPT = """
import os, sys
from dataclasses import replace
from uuid import UUID

import chronos_common
import specimens
from chronos_api.app import create_app
from chronos_api.jobs.definition import secrets
from chronos_api.jobs.schemas import JobFields
from chronos_common import metrics, settings
from chronos_common.broker import TASK_OF
from chronos_common.domain import payloads, queues
from chronos_common.errors import Invalid
from chronos_worker.adhoc_runs import AdhocRunner
from chronos_worker.service import Worker
from integration.api.callers import document_of

assert chronos_common.__file__.startswith(sys.argv[1]), chronos_common.__file__
SMS = {"text": "Hello", "token": "hidden"}

# Parsed, with its defaults and its faults.
assert payloads.parse("text_message", SMS).sender == "Chronos"
try:
    payloads.parse("text_message", {"text": "a" * 161, "x": 1})
except Invalid as error:
    assert error.fields.keys() == {"payload.text", "payload.token", "payload.x"}
else:
    raise AssertionError

# Taken and documented by the API.
when = {"name": "n", "schedule_type": "interval", "interval_seconds": 60}
assert JobFields().load({**when, "type": "text_message", "payload": SMS})["type"] == "text_message"
loaded = settings.load()
schemas = document_of(create_app(loaded))["components"]["schemas"]
schema = schemas["TextMessagePayload"]
assert schema["properties"]["text"] == {"type": "string", "minLength": 1, "maxLength": 160}
assert schema["properties"]["sender"]["default"] == "Chronos"
assert schema["required"] == ["text", "token"]
assert "text_message" in schemas["JobFields"]["properties"]["type"]["enum"]
assert "TextMessagePayload" in str(schemas["JobFields"]["allOf"])
assert "TextMessagePayload" in str(schemas["TestRunRequest"]["properties"]["payload"])

# Redacted, and put back.
shown = secrets.shown("text_message", SMS)
assert shown == {"text": "Hello", "token": "[redacted]"}
assert secrets.restored("text_message", shown, SMS) == (SMS, {})

# Queued, consumed and performed, in test runs too.
assert queues.QUEUE_OF["text_message"] == "text_messages"
assert "text_messages" in queues.ALL and "text_messages" in TASK_OF
assert queues.HANDED_ON["text_messages"] == "the gateway has the message"
assert "text_messages" in Worker(loaded)._consumers
outcome, attempt = AdhocRunner(None, loaded)._outcome(specimens.job(SMS, "text_message"))
assert attempt.request == {"text": "Hello", "is_test": True}, outcome
print("done", flush=True)
os._exit(0)
"""


def test_a_payload_module_and_an_action_module_make_a_type(tmp_path: Path) -> None:
    for package in (
        "chronos_api",
        "chronos_client",
        "chronos_common",
        "chronos_scheduler",
        "chronos_worker",
    ):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignored)
    (tmp_path / "chronos_common/domain/payloads/text_message.py").write_text(PAYLOAD)
    (tmp_path / "chronos_worker/actions/text_message.py").write_text(ACTION)
    paths = (tmp_path, ROOT / "tests", ROOT / "tests" / "support")
    environment = {
        **os.environ,  # noqa: TID251 - the child's
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "CHRONOS_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "CHRONOS_REDIS_URL": "redis://127.0.0.1:1/0",
        "CHRONOS_SECRET_KEY": "a key of the tests, with 32 bytes or more",
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
