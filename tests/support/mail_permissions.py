"""Permissions to send e-mails, with settings that no test meets by accident."""

from typing import Any

from sqlalchemy import Engine

from chronos_worker.emails.permission import MailPermission
from integration.api.api_settings import settings_for


def permission_for(engine: Engine, **changes: Any) -> MailPermission:
    """Return the permission of an installation with these settings."""
    url = engine.url.render_as_string(hide_password=False)
    return MailPermission(engine, settings_for(url, "redis://127.0.0.1:9/0", **changes))
