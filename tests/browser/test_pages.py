"""Every page, in every scheme and at every width: nothing asked for, nothing said, nothing out of place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import networks
import pytest
from conftest import until

Visits = Callable[..., Any]
LOOKS = [(width, scheme) for width in (390, 1440) for scheme in ("light", "dark")]


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
@pytest.mark.parametrize("which", ["one", "pair", "odd"])
def test_a_page_is_quiet_fits_and_is_accessible(
    which: str, width: int, scheme: str, visit: Visits, request: pytest.FixtureRequest
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    path: Path = request.getfixturevalue(which)
    opened = visit(path, width, scheme)
    page = opened.page
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "the page scrolls sideways"
    if which == "pair" or (which, width, scheme) in (("one", 390, "light"), ("odd", 1440, "dark")):
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
    assert opened.requests == [path.as_uri()]
    assert opened.console == []


def test_names_from_the_users_code_are_text(odd: Path, visit: Visits) -> None:
    opened = visit(odd)
    names = opened.page.locator("#layers-0 tbody th").all_text_contents()
    assert [n.strip() for n in names] == [networks.HOSTILE, networks.LONG, networks.KOREAN]
    assert opened.page.locator("img").count() == 0
    assert networks.HOSTILE in opened.page.locator("#pick-0").inner_text()


def test_the_policy_forbids_the_network(one: Path, visit: Visits) -> None:
    opened = visit(one)
    outcome = opened.page.evaluate("fetch('https://example.org/').then(() => 'out', () => 'kept in')")
    assert outcome == "kept in"
    added = """() => { const s = document.createElement("script"); s.textContent = "window.ran = true";
                       document.body.append(s); return window.ran === true; }"""
    assert opened.page.evaluate(added) is False
    assert opened.requests == [one.as_uri()]


def test_everything_can_be_read_without_scripts(pair: Path, visit: Visits) -> None:
    page = visit(pair, script=False).page
    for name in ("findings", "numbers", "explorer", "graphs", "layers", "about"):
        assert page.locator(f"#{name}").is_visible(), name
    assert page.locator("#layers-1 tbody tr").first.is_visible()
    assert page.locator("#lens-0 .still svg").is_visible()
    assert page.locator(".frame svg").first.is_visible()
    assert not page.locator("#filter").is_visible()
    assert not page.locator("#theme").is_visible()
    assert not page.locator("#lens-0 canvas").first.is_visible()


def test_the_theme_follows_the_system_and_the_switch_has_the_last_word(one: Path, visit: Visits) -> None:
    page = visit(one, scheme="dark").page
    background = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(background)
    assert page.locator("#theme").get_attribute("aria-pressed") == "true"
    page.locator("#theme").click()
    light = page.evaluate(background)
    assert light != dark
    page.reload()
    page.wait_for_selector("html[data-ready=yes]")
    assert page.evaluate(background) == light
    page.emulate_media(color_scheme="light")
    page.locator("#theme").click()
    assert page.evaluate(background) == dark


def test_print_leaves_the_controls_out_and_the_tables_whole(one: Path, visit: Visits) -> None:
    page = visit(one, scheme="dark").page
    page.emulate_media(media="print")
    assert not page.locator(".bar").is_visible()
    assert not page.locator("#filter").is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    tall = page.locator("#layers .scroll").first
    assert tall.evaluate("(e) => e.scrollHeight <= e.clientHeight + 1")


def test_every_section_is_reached_from_the_bar(pair: Path, visit: Visits) -> None:
    page = visit(pair).page
    for link in page.locator("nav a").all():
        target = link.get_attribute("href")
        link.click()
        until(
            page,
            "(id) => Math.abs(document.querySelector(id).getBoundingClientRect().top) < 200 "
            "|| scrollY + innerHeight >= document.documentElement.scrollHeight - 2",
            target,
        )
