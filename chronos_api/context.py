"""The settings and connections that the routes of one application share."""

from dataclasses import dataclass
from typing import cast

from flask import Flask, current_app
from redis import Redis
from sqlalchemy import Engine

from chronos_common.broker import Broker
from chronos_common.settings import Settings

_NAME = "chronos"


@dataclass(frozen=True, slots=True)
class Context:
    """One per application, made by :func:`chronos_api.app.create_app`."""

    settings: Settings
    engine: Engine
    redis: Redis
    broker: Broker


def attach(app: Flask, context: Context) -> None:
    """Give the application its context."""
    app.extensions[_NAME] = context


def of(app: Flask) -> Context:
    """Return the application's context."""
    return cast(Context, app.extensions[_NAME])


def current() -> Context:
    """Return the context of the application that handles the current request."""
    return of(current_app)
