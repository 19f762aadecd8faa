"""The pages that e-mails lead to: confirm an address, choose a password, accept an invitation.

A token comes in the address. Reading a page uses nothing up, because programs that examine mails
read them, too. A button does.
"""

from flask import g, request
from werkzeug.wrappers import Response as AnyResponse

from chronos_api.accounts import email_verification, passwords, registrations
from chronos_api.accounts.schemas import PasswordForgotten, PasswordReset, VerificationToken
from chronos_api.http import json_body
from chronos_api.security import lockouts
from chronos_api.security.access import public, requires_login
from chronos_api.security.rate_limits import Rate
from chronos_api.transactions import account_call, public_call
from chronos_api.ui.blueprint import blueprint, show, to
from chronos_api.ui.public_forms import show_done, show_form, take_form, typed
from chronos_api.workspaces import invitations
from chronos_api.workspaces.schemas import InvitationToken


@blueprint.get("/verify")
@public()
def verify() -> AnyResponse:
    """Show the page that confirms an address."""
    return show_form("verify.html", typed(request.args, "token"))


@blueprint.post("/verify")
@public(Rate.LOGIN)
def verify_now() -> AnyResponse:
    """Confirm the address of an account, or the one of a registration, and create its account."""
    given = typed(request.form, "token")
    return take_form("verify.html", given, lambda: _verify(given))


def _verify(given: dict[str, str]) -> AnyResponse:
    token = json_body.load(VerificationToken, given)["token"]
    if not registrations.confirm(public_call(), token):
        email_verification.verify(public_call(), token)
    return show_done("The address is confirmed", "Log in with it and your password.")


@blueprint.get("/forgot")
@public()
def forgot() -> AnyResponse:
    """Show the form that asks for another password."""
    return show_form("forgot.html", typed(request.args, "email"))


@blueprint.post("/forgot")
@public(Rate.LOGIN)
def forgot_now() -> AnyResponse:
    """Send an e-mail, if there is such an account. The answer does not tell."""
    given = typed(request.form, "email")
    return take_form("forgot.html", given, lambda: _forgot(given))


def _forgot(given: dict[str, str]) -> AnyResponse:
    passwords.request_reset(public_call(), json_body.load(PasswordForgotten, given)["email"])
    return show_done(
        "Look into your mail", "If there is such an account, an e-mail is on its way to it."
    )


@blueprint.get("/reset")
@public()
def reset() -> AnyResponse:
    """Show the form of a new password."""
    return show_form("reset.html", typed(request.args, "token"))


@blueprint.post("/reset")
@public(Rate.LOGIN)
def reset_now() -> AnyResponse:
    """Choose a new password, which ends every login."""
    given = typed(request.form, "token", "password")
    return take_form("reset.html", given, lambda: _reset(given))


def _reset(given: dict[str, str]) -> AnyResponse:
    email = passwords.reset(public_call(), **json_body.load(PasswordReset, given))
    lockouts.trust_network(email)
    return show_done("The password is changed", "Log in with it. Every other login has ended.")


@blueprint.get("/invitation")
@requires_login()
def invitation() -> AnyResponse:
    """Show the button that accepts an invitation."""
    return show("invitation.html", token=request.args.get("token", ""))


@blueprint.post("/invitation")
@requires_login(rate=Rate.LOGIN)
def accept_invitation() -> AnyResponse:
    """Accept an invitation, and go to its workspace."""
    token = json_body.load(InvitationToken, typed(request.form, "token"))["token"]
    g.workspace_in_path = str(invitations.accept(account_call(), token))
    return to("overview")
