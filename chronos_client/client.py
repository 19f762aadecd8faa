"""``Chronos``: a server and a workspace in it, with everything that can be done there."""

from types import TracebackType
from typing import Any, Self

from chronos_client.events import EventStream
from chronos_client.executions import Executions
from chronos_client.jobs import BulkChanges, Jobs, Schedules
from chronos_client.recovery import Failures, Replays
from chronos_client.transport import Transport
from chronos_client.workspace import ApiKeys, DeviceLogins, WorkspaceMembers


class Chronos:
    """The client of one server, with one key.

    ``workspace`` is the id of one of several workspaces. An API key belongs to one, and needs
    none. ``retry_seconds`` bounds the waits of one request for a server that is busy or away,
    ``timeout_seconds`` the wait for each answer.
    Not for use by several threads at once: make one for each.

    >>> with Chronos("http://127.0.0.1:8080", key) as chronos:
    ...     for job in chronos.jobs.list(tag="mail"):
    ...         print(job.name, job.next_run_at)
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        workspace: str | None = None,
        retry_seconds: float = 60.0,
        timeout_seconds: float = 60.0,
    ) -> None:
        self._transport = Transport(
            url,
            key,
            workspace=workspace,
            retry_seconds=retry_seconds,
            timeout_seconds=timeout_seconds,
        )
        self.jobs = Jobs(self._transport)
        self.bulk_changes = BulkChanges(self._transport)
        self.executions = Executions(self._transport)
        self.failures = Failures(self._transport)
        self.replays = Replays(self._transport)
        self.schedules = Schedules(self._transport)
        self.keys = ApiKeys(self._transport)
        self.members = WorkspaceMembers(self._transport)
        self.device_logins = DeviceLogins(self._transport)
        self.events = EventStream(self._transport)

    @property
    def url(self) -> str:
        """The server's address, without a slash at its end."""
        return self._transport.url

    def me(self) -> dict[str, Any]:
        """Return the account behind the key, its workspace and its role, as the API answers."""
        return dict(self._transport.send("GET", "/auth/me").content)

    def send(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Return the JSON answer of a route below ``/api/v1`` that has no method here."""
        return self._transport.send(method, path, body=body, query=query).content

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document of the server."""
        return dict(self._transport.send("GET", "/openapi.json", prefix="").content)

    def close(self) -> None:
        """Close the connections to the server."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
