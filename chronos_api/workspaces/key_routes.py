"""``/api/v1/keys``: API keys."""

from typing import Any
from uuid import UUID

from flask import Response, jsonify, url_for

from chronos_api.fields.pagination import PageQuery, paging_of
from chronos_api.http import problems
from chronos_api.http.blueprint import LOCATION, Blueprint
from chronos_api.security.access import Role, requires
from chronos_api.transactions import call
from chronos_api.workspaces import keys
from chronos_api.workspaces.key_schemas import KeyAnswer, KeyFields, KeyPage, NewKeyAnswer

blueprint = Blueprint(
    "keys", __name__, url_prefix="/api/v1/keys", description="API keys, for programs"
)


# No key makes or reads keys: otherwise one with few scopes could give itself more.
@blueprint.route("", "POST")
@blueprint.body(KeyFields)
@blueprint.answers(201, NewKeyAnswer, headers=LOCATION)
@blueprint.problems(problems.CONFLICT)
@requires(Role.OWNER, None)
def create_api_key(body: dict[str, Any]) -> Response:
    """Make an API key.

    It acts as you in this workspace, as far as its scopes go, and ends with your membership. The
    answer shows it this once.
    """
    made = keys.create(
        call(),
        name=body["name"],
        scopes=body["scopes"],
        expires_at=body.get("expires_at"),
    )
    response = jsonify(NewKeyAnswer.of({**made.row, "key": made.text}))
    response.headers["Location"] = url_for("keys.get_api_key", key_id=made.row["id"])
    return response


@blueprint.route("", "GET")
@blueprint.query(PageQuery)
@blueprint.answers(200, KeyPage)
@requires(Role.OWNER, None)
def list_api_keys(query: dict[str, Any]) -> Response:
    """List the workspace's API keys, the latest first."""
    found = keys.list_keys(call(), **paging_of(query))
    return jsonify(KeyPage.of(found.source(query)))


@blueprint.route("/<uuid:key_id>", "GET")
@blueprint.answers(200, KeyAnswer)
@requires(Role.OWNER, None)
def get_api_key(key_id: UUID) -> Response:
    """Read an API key, without its secret."""
    return jsonify(KeyAnswer.of(keys.read(call(), key_id)))


@blueprint.route("/<uuid:key_id>", "DELETE")
@blueprint.answers(204)
@requires(Role.OWNER, None)
def revoke_api_key(key_id: UUID) -> Response:
    """Revoke an API key. It is refused from now on."""
    keys.revoke(call(), key_id)
    return Response(status=204)
