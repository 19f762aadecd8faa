"""Preferences: as they are stored, and as they are answered."""

from typing import Any

from marshmallow import ValidationError, fields, validates_schema
from marshmallow.validate import Length

from chronos_api.fields.base import Answer, Strict
from chronos_api.fields.fields import BoundedList, Name, OneOf, Text
from chronos_api.preferences.service import DEFAULTS, MAX_VIEWS, Theme, ViewedPage
from chronos_common.domain.timezones.zones import check_timezone
from chronos_common.errors import Invalid


class SavedView(Strict):
    """A list of the dashboard with its filters, under a name."""

    page = OneOf(ViewedPage, required=True)
    name = Name(longest=60, required=True)
    query = Text(
        longest=1000,
        required=True,
        metadata={"description": "That of the page's address", "examples": ["status=paused"]},
    )


class PreferencesFields(Strict):
    """How a user likes the dashboard, on every device."""

    time_zone = Text(
        longest=64,
        load_default=DEFAULTS.time_zone,
        metadata={"description": "In which times are shown", "examples": ["Europe/Berlin"]},
    )
    theme = OneOf(
        Theme, load_default=DEFAULTS.theme, metadata={"description": "auto follows the device"}
    )
    shortcuts = fields.Boolean(
        truthy={True},
        falsy={False},
        load_default=DEFAULTS.shortcuts,
        metadata={"description": "Whether single keys do something"},
    )
    views = BoundedList(
        fields.Nested(SavedView),
        load_default=list,
        validate=Length(max=MAX_VIEWS, error="At most {max} views."),
        metadata={"description": "Lists whose filters were kept. Each name once for each page"},
    )

    @validates_schema
    def _check(self, data: dict[str, Any], **_: object) -> None:
        try:
            check_timezone(data["time_zone"])
        except Invalid as error:
            raise ValidationError(error.fields["timezone"], "time_zone") from error
        names = [(view["page"], view["name"]) for view in data["views"]]
        if len(set(names)) < len(names):
            raise ValidationError("A name is there twice; rename one of the views.", "views")


class SavedViewAnswer(Answer):
    """A list of the dashboard with its filters, under a name."""

    page = OneOf(ViewedPage)
    name = fields.String()
    query = fields.String()


class PreferencesAnswer(Answer):
    """How a user likes the dashboard."""

    time_zone = fields.String()
    theme = OneOf(Theme)
    shortcuts = fields.Boolean()
    views = fields.List(fields.Nested(SavedViewAnswer))
