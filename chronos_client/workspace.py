"""The workspace: its members, the API keys that act in it, and logins that make such a key."""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from http import HTTPStatus

from chronos_client import documents, pages
from chronos_client.errors import WaitTimedOut
from chronos_client.models import SCOPES, ApiKey, DeviceCodes, WorkspaceMember
from chronos_client.transport import Transport


class ApiKeys:
    """The API keys of a workspace. No key may use these: log in as a person."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self) -> Iterator[ApiKey]:
        """Yield the keys, the latest first, without their secrets."""
        return pages.items(self._transport, "/keys", ApiKey, {})

    def create(
        self, name: str, *, scopes: Sequence[str], expires_at: datetime | None = None
    ) -> ApiKey:
        """Make a key. Its secret is in this answer only."""
        body = {
            "name": name,
            "scopes": list(scopes),
            "expires_at": expires_at and expires_at.isoformat(),
        }
        return documents.read(ApiKey, self._transport.send("POST", "/keys", body=body).content)

    def revoke(self, key_id: str) -> None:
        """Revoke a key. It is refused from now on."""
        self._transport.send("DELETE", f"/keys/{key_id}")


class DeviceLogins:
    """Logins through the dashboard, where a person approves them (RFC 8628). They need no key."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def request(self, name: str, *, scopes: Sequence[str] = SCOPES) -> DeviceCodes:
        """Ask to be let in. The person needs the ``user_code`` and ``verification_uri``.

        ``name`` becomes that of the API key. The person may choose other scopes.
        """
        body = {"name": name, "scopes": list(scopes)}
        reply = self._transport.send("POST", "/auth/device", body=body)
        return documents.read(DeviceCodes, reply.content)

    def wait(
        self,
        codes: DeviceCodes,
        *,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> ApiKey:
        """Return the API key when the person has approved.

        Raises :class:`ApiProblem` if the person refused, and :class:`WaitTimedOut` when the codes
        have expired.
        """
        ends = monotonic() + codes.expires_in
        interval = codes.interval
        while monotonic() + interval < ends:
            sleep(interval)
            body = {"device_code": codes.device_code}
            reply = self._transport.send("POST", "/auth/device/token", body=body)
            if reply.status == HTTPStatus.OK:
                return documents.read(ApiKey, reply.content)
            interval = reply.content["interval"]
        raise WaitTimedOut("Nobody has approved it in time. Begin again.")


class WorkspaceMembers:
    """The members of a workspace."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self) -> tuple[WorkspaceMember, ...]:
        """Return the members."""
        found = self._transport.send("GET", "/members").content["items"]
        return tuple(documents.read(WorkspaceMember, each) for each in found)

    def change_role(self, user_id: str, role: str) -> WorkspaceMember:
        """Give a member another role: viewer, editor or owner."""
        reply = self._transport.send("PATCH", f"/members/{user_id}", body={"role": role})
        return documents.read(WorkspaceMember, reply.content)

    def remove(self, user_id: str) -> None:
        """Remove a member. Their keys end with the membership."""
        self._transport.send("DELETE", f"/members/{user_id}")
