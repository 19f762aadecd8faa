"""A real browser: Debian's Chromium, driven by Playwright."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")

_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def browsing(
    *,
    width: int = 1280,
    height: int = 800,
    color_scheme: Literal["light", "dark"] = "light",
    java_script_enabled: bool = True,
) -> Iterator[Page]:
    """Open an empty page in a browser of its own; skip the test where there is no browser."""
    _skip_without_chromium()
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        context: BrowserContext = playwright.chromium.launch_persistent_context(
            folder,
            executable_path=CHROMIUM,
            args=list(_ARGUMENTS),
            viewport={"width": width, "height": height},
            color_scheme=color_scheme,
            java_script_enabled=java_script_enabled,
        )
        yield context.pages[0]
        context.close()


@contextmanager
def launched(*arguments: str) -> Iterator[Browser]:
    """Start a browser for many profiles; skip the tests where there is none."""
    _skip_without_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*_ARGUMENTS, *arguments]
        )
        yield browser
        browser.close()


def _skip_without_chromium() -> None:
    if not CHROMIUM.exists():
        pytest.skip(f"There is no browser at {CHROMIUM}: apt-get install chromium.")
