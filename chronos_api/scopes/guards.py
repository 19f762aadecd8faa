"""The bounds of an apply, and the errors that refuse it as a whole."""

from collections.abc import Sequence

from chronos_api.scopes.plan import Item, JobVerdict, OnDrift, Plan, Step
from chronos_common.errors import Conflict, Invalid, VersionConflict

#: Jobs of a file, and of a scope.
MAX_JOBS = 1000
#: So many jobs of a scope may always be deleted, and more if this part of it is more.
FREELY_DELETED = 3
FREELY_DELETED_PART = 0.2

_MOST_NAMED = 10


class PlanDiffers(VersionConflict):
    """The plan would be another one now. Look at it again, and apply that one."""


class ApplyRefused(Conflict):
    """Some jobs cannot be applied as the file has them."""


class TooManyDeleted(Conflict):
    """The apply would delete many jobs of the scope."""


def check_size(items: Sequence[Item]) -> None:
    """Raise :class:`Invalid` if the scope would hold too many jobs."""
    held = sum(each.action is not Step.DELETE for each in items)
    if held > MAX_JOBS:
        text = (
            f"The scope would hold {held:,} jobs, and may hold {MAX_JOBS:,}. Give prune to delete "
            "those that the file lacks, or use several scopes."
        )
        raise Invalid({"jobs": [text]})


def check(plan: Plan, *, seen: str | None, prune_max: int | None) -> None:
    """Raise :class:`PlanDiffers`, :class:`ApplyRefused` or :class:`TooManyDeleted`."""
    if seen is not None and seen != plan.hash:
        raise PlanDiffers
    refused = plan.doing(Step.REFUSE)
    if refused:
        raise ApplyRefused(_refusal(refused))
    _check_deletions(plan, prune_max)


def _refusal(refused: Sequence[Item]) -> str:
    unclear = [each for each in refused if each.reason]
    changed = [each for each in refused if not each.reason]
    texts = [f"{each.key}: {each.reason}" for each in unclear[:_MOST_NAMED]]
    if changed:
        texts.append(
            f"Changed elsewhere since the last apply: {_named(changed)}. Take the changes into "
            f"the file, or give on_drift: {OnDrift.OVERWRITE} to lose them, or {OnDrift.KEEP} to "
            "leave these jobs as they are. A dry run shows the changes."
        )
    return " ".join(texts)


def _named(items: Sequence[Item]) -> str:
    names = ", ".join(each.key for each in items[:_MOST_NAMED])
    more = len(items) - _MOST_NAMED
    return f"{names} and {more:,} more" if more > 0 else names


def _check_deletions(plan: Plan, prune_max: int | None) -> None:
    deleted = len(plan.doing(Step.DELETE))
    held = sum(
        each.row is not None and each.verdict is not JobVerdict.ADOPT for each in plan.items
    )
    allowed = max(FREELY_DELETED, int(held * FREELY_DELETED_PART))
    if prune_max is not None:
        allowed = prune_max
    if deleted > allowed:
        raise TooManyDeleted(
            f"This would delete {deleted:,} of the {held:,} jobs of the scope {plan.scope!r}, and "
            f"{allowed:,} are allowed. If that is meant, give prune_max: {deleted}."
        )
