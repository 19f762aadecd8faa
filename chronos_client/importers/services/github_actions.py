"""The ``schedule`` of a workflow of GitHub Actions, as calls that start the workflow."""

from typing import Any
from urllib.parse import quote

from chronos_client.importers import documents, times
from chronos_client.importers.outcome import (
    LeftOut,
    Outcome,
    SourcePlace,
    SourceUnreadable,
    expect,
)

#: People write their secret in its place.
TOKEN = "Bearer REPLACE-WITH-A-TOKEN"  # noqa: S105 - a placeholder


def read(text: str, *, repository: str | None, workflow: str | None, ref: str) -> Outcome:
    """Return a job for each cron of a workflow file.

    ``repository`` is OWNER/NAME, ``workflow`` the name of the file, ``ref`` its branch.
    """
    if not repository or repository.count("/") != 1 or not workflow:
        raise SourceUnreadable(
            "A workflow does not say where it lives. Give --repository OWNER/NAME, and "
            "--workflow FILE.yml if it is read from standard input."
        )
    outcome = Outcome()
    for number, document in documents.mappings(documents.read_yaml(text)):
        # "on" is a boolean in YAML 1.1.
        triggers = document.get("on", document.get("True"))
        if not isinstance(triggers, dict):
            continue
        for _, each in documents.mappings(documents.entries(triggers.get("schedule") or [])):
            place = SourcePlace(f"{workflow}, cron {number}", documents.line_of(each))
            with outcome.entry(place, f"schedule {each.get('cron')}") as draft:
                _check_dispatch(triggers)
                name = str(document.get("name") or workflow)
                draft.set(
                    name=f"{name}: {each.get('cron')}",
                    type="webhook",
                    payload=_call(repository, workflow, ref),
                    max_attempts=1,
                )
                expression = times.classic(str(each.get("cron", "")))
                times.set_cron(draft, expression, each.get("timezone") or "UTC")
                draft.note(
                    "token",
                    "GitHub wants a token with the permission actions:write. Put it in the place "
                    f"of {TOKEN.partition(' ')[2]}.",
                )
                draft.note(
                    "trigger",
                    "The workflow starts as workflow_dispatch, so github.event_name is another. "
                    "Remove its schedule, or it runs twice.",
                )
    return outcome


def _check_dispatch(triggers: dict[str, Any]) -> None:
    if "workflow_dispatch" not in triggers:
        raise LeftOut("The workflow has no workflow_dispatch, so nobody can start it.")
    dispatch = triggers["workflow_dispatch"] or {}
    inputs = expect(dispatch, dict, "workflow_dispatch").get("inputs") or {}
    needed = [
        name
        for name, each in inputs.items()
        if isinstance(each, dict) and each.get("required") and "default" not in each
    ]
    if needed:
        raise LeftOut(f"workflow_dispatch needs the inputs {', '.join(needed)}.")


def _call(repository: str, workflow: str, ref: str) -> dict[str, Any]:
    path = f"{quote(repository)}/actions/workflows/{quote(workflow, safe='')}/dispatches"
    return {
        "url": f"https://api.github.com/repos/{path}",
        "method": "POST",
        "headers": {
            "Accept": "application/vnd.github+json",
            "Authorization": TOKEN,
            "X-GitHub-Api-Version": "2022-11-28",
        },
        "body": {"ref": ref},
    }
