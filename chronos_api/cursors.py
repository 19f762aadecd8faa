"""Cursors: where a list goes on. Clients take them as they are; they are ids in disguise."""

import base64
from uuid import UUID

from chronos_common.errors import Invalid


def write(identifier: UUID) -> str:
    """Return the cursor that goes on behind ``identifier``."""
    return base64.urlsafe_b64encode(identifier.bytes).decode().rstrip("=")


def read(cursor: str | None) -> UUID | None:
    """Return what a cursor goes on behind. Raises :class:`Invalid`."""
    if cursor is None:
        return None
    try:
        # Of another length these are not 16 bytes, which UUID refuses.
        return UUID(bytes=base64.b64decode(f"{cursor}==", altchars=b"-_", validate=True))
    except ValueError as error:
        raise Invalid({"cursor": ["Must be the next_cursor of another page."]}) from error
