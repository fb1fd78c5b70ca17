"""Rebuild everything in this folder: pages, their JSON, and the pictures of the README.

    python reports/build.py [--no-pictures]

Pictures need Chromium and playwright (`pip install 'archlens[test]'`); without them the old ones stay.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

from archlens.cli.main import run

HERE = Path(__file__).resolve().parent
PAGES = {
    "lineage": ["report", "--lineage"],
    "fcn-pspnet": ["compare", "fcn", "pspnet"],
    "fcn-deeplabv3plus": ["compare", "fcn", "deeplabv3plus"],
}
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]

# name: page, width and height of the window, scheme, what to click, what to show
PICTURES: dict[str, tuple[str, int, int, str, list[str], str]] = {
    "explorer": ("fcn-pspnet", 1200, 760, "light", ["#lens-0 [data-part=map]"], "#explorer"),
    "findings": ("lineage", 1200, 860, "dark", [], "#plots"),
    "phone": ("fcn-deeplabv3plus", 390, 844, "light", [], "#lens-1"),
}


def main() -> int:
    """Build what was asked for; the exit code of the first command that fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--no-pictures", action="store_true", help="leave the pictures as they are")
    asked = parser.parse_args()
    for name, words in PAGES.items():
        for suffix in (".html", ".json"):
            if code := run([*words, "-o", str(HERE / f"{name}{suffix}")]):
                return code
    if not asked.no_pictures:
        pictures()
    return 0


def pictures() -> None:
    """Photograph the pages, in the window of a reader."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        program = None
    if program is None:
        print("no Chromium, or no playwright: the pictures stay as they were", file=sys.stderr)
        return
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=FLAGS)
        for name, wanted in PICTURES.items():
            photograph(browser, name, *wanted)
        browser.close()


def photograph(
    browser: Any, name: str, page: str, width: int, height: int, scheme: str, clicks: list[str], shown: str
) -> None:
    """One picture of one page."""
    window = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    window.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    window.goto((HERE / f"{page}.html").as_uri())
    window.wait_for_selector("html[data-ready=yes]")
    for place in clicks:
        box = window.locator(place).bounding_box()
        window.locator(place).click(position={"x": box["width"] * 0.72, "y": box["height"] * 0.3})
    window.evaluate("document.getElementById('selection').hidden = true")
    window.evaluate("(s) => { const p = document.querySelector(s); scrollTo(0, p.offsetTop - 20); }", shown)
    window.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    window.screenshot(path=HERE / "pictures" / f"{name}.png")
    window.close()


if __name__ == "__main__":
    sys.exit(main())
