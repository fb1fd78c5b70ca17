"""A real Chromium for the pages. Without one these tests are skipped; under CI they fail instead."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

NETWORKS = Path(__file__).with_name("networks.py")
SIZE = "3x65x65"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def _missing(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The browser."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        _missing("there is no Chromium on this machine")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _missing("playwright is not installed: pip install 'archlens[test]'")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


def until(page: Any, condition: str, argument: Any = None, seconds: float = 10) -> None:
    """Wait for a condition. Playwright's own wait needs eval, which the page forbids."""
    end = time.monotonic() + seconds
    while not page.evaluate(condition, argument):
        assert time.monotonic() < end, f"still not: {condition}"
        time.sleep(0.05)


@dataclass
class Visit:
    """An open page, with what it asked for and what it said."""

    page: Any
    requests: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)

    def seen(self, network: int = 0) -> dict[str, Any]:
        """What the explorer has drawn last, after the next frame."""
        self.page.evaluate(
            "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )
        found: dict[str, Any] = self.page.evaluate(
            """(i) => { const s = archlens.lenses()[i];
                        return {...s, support: s.support && [...s.support].join("")}; }""",
            network,
        )
        return found


@pytest.fixture
def visit(chromium: Any) -> Iterator[Callable[..., Visit]]:
    """Opens a file in a window of its own."""
    contexts = []

    def opened(
        path: Path, width: int = 1440, scheme: str = "light", script: bool = True, at: str = ""
    ) -> Visit:
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=script,
            accept_downloads=True, reduced_motion="reduce",
        )  # fmt: skip
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        made = Visit(page)
        page.on("request", lambda request: made.requests.append(request.url))
        page.on("console", lambda message: made.console.append(message.text))
        page.on("pageerror", lambda error: made.console.append(str(error)))
        page.goto(path.as_uri() + at)
        if script:
            page.wait_for_selector("html[data-ready=yes]")
        return made

    yield opened
    for context in contexts:
        context.close()


def _page(path: Path, *names: str) -> Path:
    """A page of networks from the file beside this one, written by the command line."""
    from archlens.cli.main import run

    specs = [f"{NETWORKS}:{name}" for name in names]
    assert run(["report", *specs, "--input-size", SIZE, "-o", str(path)]) == 0
    return path


@pytest.fixture(scope="session")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of one network."""
    return _page(tmp_path_factory.mktemp("one") / "one.html", "pyramid")


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of two networks."""
    return _page(tmp_path_factory.mktemp("pair") / "pair.html", "plain", "pyramid")


@pytest.fixture(scope="session")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page whose layers have names that try to break it."""
    return _page(tmp_path_factory.mktemp("odd") / "odd.html", "named")
