"""The profile that lets the command line reach this installation from another terminal."""

from pathlib import Path

import requests

from chronos_client import profiles
from chronos_client.errors import ProfileUnusable
from chronos_client.models import SCOPES
from chronos_client.profiles import ServerProfile
from chronos_common.embedded.api_client import Client, RequestRefused
from chronos_common.embedded.data_folder import write_private
from chronos_common.embedded.installation import Installation

_USUAL_PORT = 8080
_KEY_FILE = "client_key"
_TIMEOUT_SECONDS = 10


def describe(client: Client, installation: Installation, email: str) -> str:
    """Write the profile, and return a line about it for the banner.

    It comes into use by itself, unless a profile that the user made is in use.
    """
    port = installation.settings.api_port
    name = "local" if port == _USUAL_PORT else f"local-{port}"
    try:
        key = _key(client, installation.folder / _KEY_FILE, installation.address)
        made = ServerProfile(url=installation.address, key=key, email=email, made_by_up=True)
        path = profiles.location()
        content = profiles.load(path)
        in_use = content.profiles.get(content.current or "")
        is_ours = in_use is None or in_use.made_by_up
        written = content.with_profile(name, made, use=is_ours)
        if written != content:
            profiles.save(path, written)
    except (ProfileUnusable, RequestRefused, requests.RequestException) as error:
        return f"no profile for 'chronos jobs list': {error}"
    is_reached = in_use is None or in_use.made_by_up or in_use.url == made.url
    choice = "" if is_reached else f" --profile {name}"
    return f"chronos jobs list{choice}, in another terminal"


def _key(client: Client, path: Path, address: str) -> str:
    """Return the API key that the data folder keeps. Make one if it is missing or refused."""
    if path.exists():
        kept = path.read_text().strip()
        if _is_accepted(kept, address):
            return kept
    made = client.send(
        "POST", "/api/v1/keys", {"name": "Command line, by chronos up", "scopes": list(SCOPES)}
    )
    key = str(made["key"])
    write_private(path, key)
    return key


def _is_accepted(key: str, address: str) -> bool:
    with requests.Session() as session:
        session.trust_env = False  # the API is on this machine, and needs no proxy
        answer = session.get(
            f"{address}/api/v1/jobs?limit=1",
            headers={"X-API-Key": key, "Connection": "close"},
            timeout=_TIMEOUT_SECONDS,
        )
        return answer.ok
