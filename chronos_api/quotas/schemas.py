"""Quotas, as they are read and set."""

from operator import attrgetter

from marshmallow import fields

from chronos_api.fields.base import Answer, Strict, computed
from chronos_api.fields.fields import Whole
from chronos_api.quotas.service import RAISABLE
from chronos_common.quotas import ALL


class QuotaUse(Answer):
    """A quota of a workspace: its bound, and its use."""

    name = computed(
        fields.String(metadata={"enum": [each.name for each in ALL]}),
        attrgetter("quota.name"),
    )
    bound = computed(fields.Integer(), attrgetter("bound"))
    used = computed(
        fields.Integer(
            allow_none=True,
            metadata={"description": "null for a bound of each thing, or of each user"},
        ),
        attrgetter("used"),
    )
    unit = computed(fields.String(), attrgetter("quota.unit"))
    description = computed(fields.String(), attrgetter("quota.help"))


class WorkspaceQuotas(Answer):
    """The quotas of a workspace."""

    items = computed(fields.List(fields.Nested(QuotaUse)), list)


QuotaBounds = Strict.from_dict(
    {
        each.name: Whole(
            low=0,
            allow_none=True,
            metadata={"description": f"The most {each.help}; null for the setting's"},
        )
        for each in RAISABLE
    },
    name="QuotaBounds",
)
