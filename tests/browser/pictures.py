"""``python -m tests.browser.pictures``: the pictures of ``docs/pictures``, from the demo's jobs.

Not collected by pytest. Starts ``chronos up --demo`` for some minutes, so that there is something
to see, or takes the pictures of an installation that runs already, whose data folder and address
are given. With ``--every FOLDER`` it takes every page at three widths instead, to look at.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from playwright.sync_api import Page

from acceptance.up import running
from integration.api.browsers import browsing
from repository import ROOT

FOLDER = ROOT / "docs" / "pictures"
WIDTH, HEIGHT = 1200, 760
#: Long enough for some bars of the trend, and for failures to need attention.
SECONDS_OF_DEMO = 240

#: The pages, by the names of their pictures.
PAGES = {"overview": "", "jobs": "jobs?sort=next_run_at"}


#: Every page, at a laptop's, a tablet's and a phone's width.
WIDTHS = (1440, 768, 390)
EVERY = {
    "overview": "",
    "wall": "wall",
    "jobs": "jobs",
    "jobs-none": "jobs?search=nothing+matches&status=paused",
    "new-job": "jobs/new",
    "deleted": "jobs/deleted",
    "executions": "executions",
    "failures": "failures",
    "calendar": "calendar?span=7d",
    "settings": "settings",
    "audit": "audit",
    "account": "account",
    "second-factor": "account/second-factor",
    "device": "device",
    "system": "system",
    "missing": "nothing-here",
    "login": "login",
    "register": "register",
    "forgot": "forgot",
    "reset": "reset?token=none",
    "verify": "verify?token=none",
    "invitation": "invitation?token=none",
}
#: Pages that a link of another page leads to: that page, and the selector of the link.
LINKED = {
    "hour": ("calendar?span=7d", "td a.shade-4"),
    "job": ("jobs?sort=name", "a.name"),
    "edit": ("jobs?sort=name", "tr .panel a[data-act=e]"),
    "delete": ("jobs?sort=name", "tr .panel a[href$=delete]"),
    "changes": ("job", "a[href$=changes]"),
    "run-with": ("job", "a[href$=run-with]"),
    "failed": ("executions?status=failed", "tbody td a"),
    "retry-with": ("failed", "a[href$=retry-with]"),
    "succeeded": ("executions?status=succeeded", "tbody td a"),
}


@contextmanager
def installation(address: str | None, folder: Path | None) -> Iterator[tuple[str, Path]]:
    """Yield the address and the data folder of an installation with the demo's jobs."""
    if address and folder:
        yield address, folder
        return
    with (
        tempfile.TemporaryDirectory() as temporary,
        running(Path(temporary) / "data", "--demo") as up,
    ):
        time.sleep(SECONDS_OF_DEMO)
        yield up.address, up.folder


def log_in(page: Page, address: str, folder: Path) -> None:
    """Log in as the administrator."""
    account = json.loads((folder / "admin.json").read_text())
    page.goto(f"{address}/ui/login")
    page.get_by_label("E-mail address").fill(account["email"])
    page.get_by_label("Password").fill(account["password"])
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/ui/")


def take(address: str, folder: Path) -> None:
    """Write a picture of each page in light and in dark."""
    FOLDER.mkdir(exist_ok=True)
    for scheme in ("light", "dark"):
        with browsing(width=WIDTH, height=HEIGHT, color_scheme=scheme) as page:
            log_in(page, address, folder)
            for name, path in PAGES.items():
                page.goto(f"{address}/ui/{path}")
                page.get_by_text("● live").wait_for()
                page.screenshot(path=FOLDER / f"{name}-{scheme}.png")


def every_page(page: Page, address: str) -> dict[str, str]:
    """Return the addresses of all pages. One that nothing leads to yet is left out."""
    found = {name: f"{address}/ui/{path}" for name, path in EVERY.items()}
    for name, (path, selector) in LINKED.items():
        page.goto(found.get(path, f"{address}/ui/{path}"))
        links = page.locator(selector)
        if links.count():
            found[name] = links.first.evaluate("link => link.href")
    if "failed" in found and "succeeded" in found:
        other = found["succeeded"].rpartition("/")[2]
        found["compare"] = f"{found['failed']}/compare?with={other}&all=yes"
    return found


def take_every(address: str, folder: Path, target: Path) -> None:
    """Write a picture of every page at each width, and name those that are wider."""
    target.mkdir(exist_ok=True)
    for scheme in ("light", "dark"):
        with browsing(color_scheme=scheme) as page:
            log_in(page, address, folder)
            pages = every_page(page, address)
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 900})
                for name, place in pages.items():
                    page.goto(place)
                    page.screenshot(path=target / f"{name}-{width}-{scheme}.png", full_page=True)
                    if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                        sys.stdout.write(f"{name} is wider than {width}\n")


def main() -> None:
    """Take the pictures of the installation that the command line names, or of a new one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", help="of an installation, like http://127.0.0.1:8080")
    parser.add_argument("--data-dir", type=Path, help="its data folder")
    parser.add_argument("--every", type=Path, help="folder for pictures of every page")
    given = parser.parse_args()
    with installation(given.address, given.data_dir) as (address, folder):
        if given.every:
            take_every(address, folder, given.every)
        else:
            take(address, folder)


if __name__ == "__main__":
    main()
