"""CronJobs of Kubernetes, as YAML or as ``kubectl get cronjobs -o yaml``."""

import re
from collections.abc import Mapping
from typing import Any

from chronos_client.importers import documents, times
from chronos_client.importers.http.request import HttpRequest
from chronos_client.importers.http.shell import read_arguments, read_command
from chronos_client.importers.outcome import (
    Draft,
    LeftOut,
    Outcome,
    SourcePlace,
    expect,
    number,
    refuse_unknown,
)

_OVERLAPS = {"Allow": "allow", "Forbid": "skip", "Replace": "cancel_running"}
_ZONE_PREFIX = re.compile(r"(?:CRON_TZ|TZ)=(\S+)\s+(.*)")
_SHELLS = {"sh", "/bin/sh", "bash", "/bin/bash", "ash", "/bin/ash"}
#: Images whose entry point is curl.
_CURL_IMAGE = re.compile(r"(?:.*/)?(?:curlimages/curl|alpine/curl|byrnedo/alpine-curl)(?:[:@].*)?")
#: Members about the pods and objects that Kubernetes makes, and not about the call.
_SPEC = (
    "schedule", "timeZone", "suspend", "concurrencyPolicy", "startingDeadlineSeconds",
    "jobTemplate", "successfulJobsHistoryLimit", "failedJobsHistoryLimit",
)  # fmt: skip
_JOB_SPEC = (
    "template", "backoffLimit", "activeDeadlineSeconds", "parallelism", "completions",
    "ttlSecondsAfterFinished", "completionMode",
)  # fmt: skip
#: The default of Kubernetes.
_DEFAULT_RETRIES = 6
_LONGEST_GRACE = 604_800


def read(text: str, *, timezone: str | None = None) -> Outcome:
    """Return the jobs of the CronJobs among the objects. ``timezone`` is the controller's zone."""
    outcome = Outcome()
    for document in documents.read_yaml(text):
        found = documents.entries(document, "items") if document else []
        for position, each in documents.mappings(found):
            _read_object(each, position, outcome, timezone)
    return outcome


def _read_object(
    found: dict[str, Any], position: int, outcome: Outcome, timezone: str | None
) -> None:
    metadata = found.get("metadata") if isinstance(found.get("metadata"), dict) else {}
    name = str((metadata or {}).get("name") or f"object {position}")
    place = SourcePlace(name, documents.line_of(found))
    kind = found.get("kind")
    if kind != "CronJob":
        outcome.leave_out(place, f"{kind or 'object'} {name}", "It is not a CronJob.")
        return
    with outcome.entry(place, f"CronJob {name}") as draft:
        spec = expect(found.get("spec"), dict, "spec")
        namespace = (metadata or {}).get("namespace")
        draft.set(name=name, tags=[str(namespace)[:50]] if namespace else None)
        _read_schedule(spec, draft, timezone)
        _read_policies(spec, draft)
        _read_job(spec, draft)
        refuse_unknown(spec, _SPEC, draft)


def _read_schedule(spec: dict[str, Any], draft: Draft, timezone: str | None) -> None:
    expression, zone = str(spec.get("schedule", "")).strip(), spec.get("timeZone")
    if prefix := _ZONE_PREFIX.fullmatch(expression):
        zone, expression = prefix[1], prefix[2]
    if expression.startswith("@every"):
        seconds = times.duration(expression.removeprefix("@every"))
        times.set_interval(draft, seconds, counts_from="the last start")
        return
    times.set_cron(draft, times.classic(times.either_day(expression.replace("?", "*"))), zone)
    if not zone:
        times.set_zone_of_machine(draft, timezone)


def _read_policies(spec: dict[str, Any], draft: Draft) -> None:
    policy = spec.get("concurrencyPolicy") or "Allow"
    if policy not in _OVERLAPS:
        raise LeftOut(f"concurrencyPolicy {policy!r} is not known.")
    draft.set(overlap_policy=_OVERLAPS[policy], status="paused" if spec.get("suspend") else None)
    if policy == "Forbid":
        draft.note(
            "Forbid",
            "Kubernetes makes up for the latest start once the run under way has ended. Chronos "
            "skips it. overlap_policy queue_one lets it wait.",
        )
    deadline = spec.get("startingDeadlineSeconds")
    if deadline is not None:
        deadline = number(deadline, "startingDeadlineSeconds", int)
        draft.set(misfire_policy="skip", misfire_grace_seconds=min(deadline, _LONGEST_GRACE))
        if deadline > _LONGEST_GRACE:
            draft.lacks(
                "startingDeadlineSeconds", f"Only {_LONGEST_GRACE} s of {deadline} s are kept."
            )
        draft.note(
            "startingDeadlineSeconds",
            "If several starts are late and within the deadline, Kubernetes makes up for the "
            "latest. Chronos starts each.",
        )


def _read_job(spec: dict[str, Any], draft: Draft) -> None:
    template = expect(spec.get("jobTemplate"), dict, "jobTemplate")
    job = expect(template.get("spec"), dict, "jobTemplate.spec")
    if any(job.get(each) not in (None, 1) for each in ("parallelism", "completions")):
        raise LeftOut("It starts several pods.")
    pod = expect(expect(job.get("template"), dict, "template").get("spec"), dict, "template.spec")
    request = _request(pod, draft)
    bounds = [job.get("activeDeadlineSeconds"), pod.get("activeDeadlineSeconds"), request.timeout]
    request.timeout = min((each for each in bounds if each is not None), default=None)
    refuse_unknown(job, _JOB_SPEC, draft)
    request.set_in(draft, timeout="activeDeadlineSeconds")
    draft.set(max_attempts=1)
    if retries := job.get("backoffLimit", _DEFAULT_RETRIES):
        draft.lacks(
            "backoffLimit",
            f"Kubernetes starts a pod that ends with an error up to {retries} more times. The job "
            "is tried once, as errors of curl and HTTP are not the same. Set max_attempts.",
        )


def _request(pod: dict[str, Any], draft: Draft) -> HttpRequest:
    if pod.get("initContainers"):
        raise LeftOut("It has initContainers.")
    containers = expect(pod.get("containers"), list, "containers")
    if len(containers) != 1:
        raise LeftOut(f"It has {len(containers)} containers. Only one with curl becomes a job.")
    container = expect(containers[0], dict, "the container")
    variables = _variables(container)
    words = _command_line(container, variables)
    if words[0] in _SHELLS:
        match words[1:]:
            case [flag, script] if flag in {"-c", "-ec", "-ce", "-euc"}:
                return read_command(script, draft, variables)
        raise LeftOut("It runs a shell script.")
    return read_arguments(words, draft)


def _command_line(container: dict[str, Any], variables: Mapping[str, str]) -> list[str]:
    """Return the program of a container, and its arguments."""
    command = _arguments_of(container.get("command"))
    arguments = _arguments_of(container.get("args"))
    image = str(container.get("image", ""))
    if not command and _CURL_IMAGE.fullmatch(image):
        command = ["curl"]
        if arguments[:1] == ["curl"]:  # the image's entry point takes it away, too
            arguments = arguments[1:]
    words = [_expanded(each, variables) for each in (*command, *arguments)]
    if not words:
        raise LeftOut(f"It runs the image {image!r} with its own command.")
    return words


def _variables(container: dict[str, Any]) -> dict[str, str]:
    """Return the variables of a container whose values stand in the object."""
    return {
        str(each["name"]): str(each["value"])
        for each in container.get("env") or []
        if "value" in each and "$(" not in str(each["value"])
    }


def _expanded(text: str, variables: Mapping[str, str]) -> str:
    """Return an argument with the values that Kubernetes puts in the place of ``$(NAME)``."""

    def value(match: re.Match[str]) -> str:
        if match[1] is None:
            return "$"
        if match[1] not in variables:
            raise LeftOut(
                f"It takes $({match[1]}) from the container's environment, whose value does not "
                "stand in the object."
            )
        return variables[match[1]]

    return re.sub(r"\$\$|\$\(([\w.-]+)\)", value, text)


def _arguments_of(value: Any) -> list[str]:
    if value is None:
        return []
    return [str(each) for each in expect(value, list, "command or args")]
