"""An edit of a job that a file of jobs as code manages, as YAML for that file."""

from collections.abc import Mapping
from typing import Any, Final

import yaml
from sqlalchemy import RowMapping

from chronos_api.http.json_body import made
from chronos_api.jobs.definition import definitions
from chronos_api.scopes.normal_forms import NormalForm
from chronos_api.scopes.schemas import ScopeJob
from chronos_api.transactions import Call, reading
from chronos_client.scopes import exports

#: The defaults of a job in a file, by its fields. The file leaves them out.
_SCHEMA: Final = {
    "properties": {name: field.metadata for name, field in made(ScopeJob).fields.items()}
}


def of_edit(call: Call, row: RowMapping, body: Mapping[str, Any]) -> str:
    """Return the job with the changes of ``body`` as an entry of its file, without secrets.

    Nothing is saved. Raises :class:`Invalid` if the job could not be saved like this.
    """
    fields = definitions.merged(row, body)
    with reading(call) as session:
        definition = definitions.define(
            fields,
            job_id=row["id"],
            now=call.now,
            stored=row,
            default_url=definitions.default_url_for(session, fields),
            is_payload_given="payload" in body,
        )
    job = {**NormalForm.of_definition(definition, None).fields, "status": row["status"]}
    key = {} if row["scope_key"] == job["name"] else {"key": row["scope_key"]}
    text: str = yaml.safe_dump(
        [key | exports.fields_of(job, _SCHEMA)], sort_keys=False, allow_unicode=True, width=100
    )
    return text
