"""The banner, printed when everything runs, and the administrator's account."""

from collections.abc import Callable
from importlib.metadata import version

import requests

from chronos_common import settings
from chronos_common.embedded import profile
from chronos_common.embedded.api_client import AdminAccount, Client, RequestRefused, saved_account
from chronos_common.embedded.console import Terminal
from chronos_common.embedded.data_folder import write_private
from chronos_common.embedded.installation import LOOPBACK, Installation
from chronos_common.embedded.processes.child import Child, Program
from chronos_common.embedded.servers.servers import Servers

_LABEL_WIDTH = 11
#: The beginning of what the command says if the address has an account.
_IS_TAKEN = "There is an account with this e-mail address"


def print_banner(
    installation: Installation,
    servers: Servers,
    terminal: Terminal,
    run_to_end: Callable[[Program], Child],
) -> Client | None:
    """Print all addresses. Return a client for the administrator, if the account may log in.

    ``run_to_end`` runs the program that makes the account at the first start.
    """
    account = saved_account(installation.folder)
    client = Client(installation.address, account)
    access, may_log_in = _open_account(client, account, installation, run_to_end)
    commands = (
        profile.describe(client, installation, account.email)
        if may_log_in
        else "'chronos login' makes a profile for another account"
    )
    names = " and ".join(child.name for child in servers.children)
    pages = {"Dashboard": f"{installation.address}/ui/"}
    lines = (pages if installation.settings.dashboard else {}) | {
        "Address": installation.address,
        "API docs": f"{installation.address}/docs",
        "Account": access,
        "Commands": commands,
        "E-mail": _mail(installation),
        "Webhooks": _egress(),
        "Data": f"{installation.folder}" + (f" ({names} run from there)" if names else ""),
        "Logs": f"{installation.folder / 'logs'}",
    }
    terminal.say(f"\nChronos {version('chronos-scheduler')} is running.\n", style="bold green")
    for label, text in lines.items():
        terminal.say(f"  {label:<{_LABEL_WIDTH}}{text}")
    terminal.say("\nCtrl-C stops everything; the data stays.\n")
    return client if may_log_in else None


def _open_account(
    client: Client,
    account: AdminAccount,
    installation: Installation,
    run_to_end: Callable[[Program], Child],
) -> tuple[str, bool]:
    """Make the administrator's account at the first start, and describe how to log in."""
    kept = installation.folder / "admin.json"
    try:
        if client.log_in():
            return f"{account.email}, password in {kept}", True
        if _create(account, installation, run_to_end) and client.log_in():
            return f"{account.email}, password {account.password} (kept in {kept})", True
    except (requests.RequestException, RequestRefused) as error:
        return f"the administrator's could not be opened: {error}", False
    return f"{account.email} has another password than {kept} says", False


def _create(
    account: AdminAccount, installation: Installation, run_to_end: Callable[[Program], Child]
) -> bool:
    """Create the account as an operator's. Return whether its address was free.

    By the command, because registration may be closed, or wait for an e-mail. Raises
    :class:`RequestRefused` if it fails for another reason.
    """
    password_file = installation.folder / "run" / "password"
    write_private(password_file, account.password)
    try:
        child = run_to_end(installation.admin_account(account.email, password_file))
    finally:
        password_file.unlink()
    said = child.last_lines(1)
    if child.exit_code() and _IS_TAKEN not in said:
        raise RequestRefused(said or "no reason was given")
    return child.exit_code() == 0


def _mail(installation: Installation) -> str:
    if installation.settings.smtp_url:
        return "sent through CHRONOS_SMTP_URL"
    return f"written to {installation.settings.mail_dir}, as CHRONOS_SMTP_URL is not set"


def _egress() -> str:
    allowed = settings.given("EGRESS_ALLOW")
    if allowed == LOOPBACK:
        return f"may call this machine ({LOOPBACK}), unless CHRONOS_EGRESS_ALLOW is set"
    if allowed:
        return f"may call public addresses and {allowed}"
    return "may call public addresses; CHRONOS_EGRESS_ALLOW opens private ones"
