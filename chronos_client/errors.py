"""The errors of the client. All of them are :class:`ClientError`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any


class ClientError(Exception):
    """Something that the client was asked for could not be done."""


class ServerAway(ClientError):
    """The server could not be reached, or could not answer. The message names the remedy."""


class SeveralMatches(ClientError):
    """Several objects have the name, or a name that begins so."""

    def __init__(self, reference: str, matches: Sequence[str]) -> None:
        listed = "\n".join(f"  {match}" for match in matches)
        super().__init__(f"{reference!r} may mean several. Give one of these:\n{listed}")
        self.matches = tuple(matches)


class ProfileUnusable(ClientError):
    """The profile is missing, or its file cannot be read or written."""


class SignatureInvalid(ClientError):
    """The request was not signed by this secret, or not recently."""


class WaitTimedOut(ClientError):
    """The execution did not finish within the time that the caller would wait."""


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """Something that is wrong in a file. Lines and columns count from 1."""

    line: int
    column: int
    text: str


class FileInvalid(ClientError):
    """A file of jobs has faults: all of them are named, with their lines and columns."""

    def __init__(self, name: str, faults: Sequence[Fault]) -> None:
        self.faults = sorted(set(faults))
        super().__init__(
            "\n".join(f"{name}:{each.line}:{each.column}: {each.text}" for each in self.faults)
        )


class ApiProblem(ClientError):
    """The server refused a request, with a problem document (RFC 9457)."""

    def __init__(self, status: int, document: Mapping[str, Any]) -> None:
        self.status = status
        self.title = str(document.get("title") or HTTPStatus(status).phrase)
        self.detail = str(document.get("detail") or self.title)
        #: Each wrong field: ``{"field": …, "message": …}``.
        self.errors: Sequence[Mapping[str, Any]] = document.get("errors") or ()
        #: Names the request in the server's log.
        self.request_id = document.get("request_id")
        head = self.detail.removesuffix(" See 'errors'.") if self.errors else self.detail
        super().__init__("\n".join([head, *map(_line, self.errors)]))


class NotLoggedIn(ApiProblem):
    """The key is missing, expired, revoked or wrong."""


class ObjectMissing(ApiProblem):
    """There is no such object in this workspace."""


def problem(status: int, document: Mapping[str, Any]) -> ApiProblem:
    """Return the error of an answer with this status."""
    match status:
        case HTTPStatus.UNAUTHORIZED:
            return NotLoggedIn(status, document)
        case HTTPStatus.NOT_FOUND:
            return ObjectMissing(status, document)
        case _:
            return ApiProblem(status, document)


def missing(detail: str) -> ObjectMissing:
    """Return the error for an object that the client itself did not find."""
    return ObjectMissing(HTTPStatus.NOT_FOUND, {"detail": detail})


def _line(error: Mapping[str, Any]) -> str:
    return f"  {error.get('field')}: {error.get('message')}"
