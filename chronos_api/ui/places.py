"""The pages that the palette leads to, and the keys of all pages."""

from typing import Final

#: Endpoint, name, and the key that goes there after ``g``.
PLACES: Final = (
    ("overview", "Overview", "o"),
    ("jobs", "Jobs", "j"),
    ("new_job", "New job", "n"),
    ("deleted", "Deleted jobs", ""),
    ("executions", "Executions", "e"),
    ("settings", "Settings, members and keys", "s"),
    ("audit", "Audit log", "a"),
    ("account", "Your account", ""),
    ("system", "System", ""),
)

#: Keys, and what they do. ``keys.js`` has the same ones.
SHORTCUTS: Final = (
    (("Ctrl K",), "search, or go to a page, a job or an id"),
    (("/",), "search in the list"),
    (("g o", "g j", "g e"), "overview, jobs, executions"),
    (("g n", "g s", "g a"), "new job, settings, audit log"),
    (("j", "k"), "next and previous row"),
    (("x",), "check the row"),
    (("o", "Enter"), "open the row"),
    (("r", "p", "e"), "run, pause or resume, edit the row or the job"),
    (("c", "l"), "clone it, show its executions"),
    (("1", "2", "3", "4"), "the last hour, 6 hours, day, week"),
    (("z",), "times in UTC or in your zone"),
    ((".",), "stop following what happens, or go on"),
    (("?",), "these keys"),
)
