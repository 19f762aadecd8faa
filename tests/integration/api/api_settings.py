"""Settings for an API under test."""

from dataclasses import replace
from typing import Any

import pytest

from chronos_common.settings import Settings, load


def settings_for(database_url: str, redis_url: str, **changes: Any) -> Settings:
    """Return settings for these servers, with limits that no test meets by accident."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CHRONOS_DATABASE_URL", database_url)
        environment.setenv("CHRONOS_REDIS_URL", redis_url)
        environment.setenv("CHRONOS_SECRET_KEY", "a key of the tests, with 32 bytes or more")
        loaded = load()
    generous = {
        "rate_limit": "1000000 per minute",
        "user_rate_limit": "1000000 per minute",
        "workspace_rate_limit": "1000000 per minute",
        "login_rate_limit": "100000 per minute",
        "tasks_broker_url": redis_url,
        "tasks_allowed": ("*",),
        "tasks_queues": ("*",),
    }
    return replace(loaded, **(generous | changes))
