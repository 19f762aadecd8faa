"""``/api/v1/admin``: for the operator of this installation."""

from typing import Any
from uuid import UUID

from flask import Response, jsonify

from chronos_api.accounts import admin
from chronos_api.accounts.schemas import AccountAnswer, AccountPage, AccountsQuery, ProcessList
from chronos_api.audit import service as audit
from chronos_api.audit.schemas import AuditPage, AuditQuery, audit_filter
from chronos_api.context import current
from chronos_api.fields.pagination import paging_of
from chronos_api.http import problems
from chronos_api.http.blueprint import Blueprint
from chronos_api.security.access import requires_operator
from chronos_api.transactions import account_call

blueprint = Blueprint(
    "admin", __name__, url_prefix="/api/v1/admin", description="For the operator"
)


@blueprint.route("/accounts", "GET")
@blueprint.query(AccountsQuery)
@blueprint.answers(200, AccountPage)
@requires_operator()
def list_accounts(query: dict[str, Any]) -> Response:
    """List the accounts, the oldest first.

    The total is counted up to 10,000.
    """
    found = admin.list_accounts(account_call(), search=query.get("search"), **paging_of(query))
    return jsonify(AccountPage.of(found.source(query)))


@blueprint.route("/accounts/<uuid:user_id>/disable", "POST")
@blueprint.answers(200, AccountAnswer)
@blueprint.problems(problems.CONFLICT)
@requires_operator()
def disable_account(user_id: UUID) -> Response:
    """Disable an account: its logins end at once, and its API keys are refused."""
    row = admin.disable(account_call(), user_id)
    return jsonify(AccountAnswer.of(row))


@blueprint.route("/accounts/<uuid:user_id>/enable", "POST")
@blueprint.answers(200, AccountAnswer)
@requires_operator()
def enable_account(user_id: UUID) -> Response:
    """Enable an account: it may log in again, and its API keys serve again."""
    row = admin.enable(account_call(), user_id)
    return jsonify(AccountAnswer.of(row))


@blueprint.route("/accounts/<uuid:user_id>/second-factor/reset", "POST")
@blueprint.answers(204)
@requires_operator()
def reset_second_factor(user_id: UUID) -> Response:
    """Turn off the second factor of an account whose owner has lost every code.

    Be sure who asks: from then on the password alone opens the account.
    """
    admin.reset_second_factor(account_call(), user_id)
    return Response(status=204)


@blueprint.route("/audit", "GET")
@blueprint.query(AuditQuery)
@blueprint.answers(200, AuditPage)
@requires_operator()
def list_installation_audit_entries(query: dict[str, Any]) -> Response:
    """List the changes of the installation itself, the latest first."""
    found = audit.list_entries(
        account_call(), None, audit_filter(query), page=query["page"], limit=query["limit"]
    )
    return jsonify(AuditPage.of(found.source(query)))


@blueprint.route("/processes", "GET")
@blueprint.answers(200, ProcessList)
@requires_operator()
def list_processes() -> Response:
    """List the workers and schedulers of this installation, and its queues."""
    shared = current()
    found = admin.list_processes(account_call(), alive_within=shared.settings.worker_timeout)
    queues = [{"name": name, "messages": count} for name, count in admin.queues(shared.broker)]
    return jsonify(ProcessList.of({"items": found, "queues": queues}))
