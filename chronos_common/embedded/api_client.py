"""The first account of an installation, and a small client that acts in its name."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import requests

from chronos_common.embedded.data_folder import write_private
from chronos_common.errors import ChronosError

EMAIL = "admin@chronos.example"

_TIMEOUT_SECONDS = 10
_PASSWORD_BYTES = 12


class RequestRefused(ChronosError):
    """The API refused a request of 'chronos up' itself."""


@dataclass(frozen=True, slots=True)
class AdminAccount:
    """The credentials of the administrator."""

    email: str
    password: str


class Client:
    """Calls the API as one account, and logs in when it must."""

    def __init__(self, address: str, account: AdminAccount) -> None:
        self._address = address
        self._account = account
        self._session = requests.Session()
        self._session.trust_env = False  # the API is on this machine, and needs no proxy
        self._session.headers["Connection"] = "close"  # the API need not wait for us to stop

    def send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Return the JSON answer. Raises :class:`RequestRefused` or a requests error."""
        answer = self._request(method, path, body)
        if answer.status_code == HTTPStatus.UNAUTHORIZED and self.log_in():
            answer = self._request(method, path, body)
        return _content(answer)

    def log_in(self) -> bool:
        """Get a new access token. Return whether the account may log in."""
        answer = self._request("POST", "/api/v1/auth/login", asdict(self._account))
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            return False
        self._session.headers["Authorization"] = f"Bearer {_content(answer)['access_token']}"
        return True

    def _request(
        self, method: str, path: str, body: Mapping[str, Any] | None
    ) -> requests.Response:
        url = self._address + path
        return self._session.request(method, url, json=body, timeout=_TIMEOUT_SECONDS)


def saved_account(folder: Path) -> AdminAccount:
    """Return the administrator's account of this data folder, made at the first start."""
    path = folder / "admin.json"
    if not path.exists():
        content = {"email": EMAIL, "password": secrets.token_urlsafe(_PASSWORD_BYTES)}
        write_private(path, json.dumps(content, indent=2) + "\n")
    content = json.loads(path.read_text())
    return AdminAccount(email=content["email"], password=content["password"])


def _content(answer: requests.Response) -> Any:
    if answer.ok:
        return answer.json()
    try:
        detail = answer.json().get("detail", answer.reason)
    except (ValueError, AttributeError):
        detail = answer.reason
    raise RequestRefused(
        f"The API answered {answer.request.method} {answer.request.path_url} "
        f"with {answer.status_code}: {detail}"
    )
