"""The pages that tests of the dashboard visit, below ``/ui/``."""

PAGES = (
    "",
    "jobs",
    "jobs?search=nothing+matches",
    "jobs/new",
    "jobs/deleted",
    "executions",
    "failures",
    "calendar?span=7d&since=2030-01-01T00:00:00Z",
    "wall",
    "settings",
    "audit",
    "account",
    "account/second-factor",
    "device",
    "system",
    "nothing-here",
)
