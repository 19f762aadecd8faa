"""The kinds of sources that a command can read, with the options of each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from chronos_client.importers.outcome import Outcome

_MODULES = f"{__package__}."


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of source: its module, and the options that its reader takes."""

    module: str
    takes: frozenset[str] = frozenset()
    fixed: Mapping[str, Any] = field(default_factory=dict)

    def read(self, text: str, options: Mapping[str, Any]) -> Outcome:
        """Return the jobs and findings of a text."""
        reader: Callable[..., Outcome] = import_module(_MODULES + self.module).read
        return reader(text, **self.fixed, **{name: options[name] for name in self.takes})


_ZONE = frozenset({"timezone"})

KINDS: Mapping[str, Kind] = {
    "crontab": Kind("crontab", _ZONE),
    "cron.d": Kind("crontab", _ZONE, {"has_users": True}),
    "kubernetes": Kind("kubernetes", _ZONE),
    "django-celery-beat": Kind("celery.django", _ZONE),
    "redbeat": Kind("celery.redbeat", _ZONE),
    "eventbridge": Kind("services.eventbridge", frozenset({"targets"})),
    "cloud-scheduler": Kind("services.cloud_scheduler"),
    "github-actions": Kind(
        "services.github_actions", frozenset({"repository", "workflow", "ref"})
    ),
    "dkron": Kind("dkron", _ZONE),
    "cronicle": Kind("cronicle", _ZONE),
    "xyops": Kind("cronicle", _ZONE),
    "cron-job.org": Kind("services.cronjob_org"),
    "qstash": Kind("services.qstash"),
}

#: Sources that live in a program, with the function that exports them there.
IN_PROCESS: Mapping[str, str] = {
    "celery": "chronos_client.importers.celery.beat.export(app)",
    "apscheduler": "chronos_client.importers.apscheduler3.export(scheduler, target)",
}
