"""The page in Chromium: mouse, keyboard, phone, dark mode, greyscale, no script, hostile text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page, expect, sync_playwright

from pytest_mcp_storage.report.escaping import printable
from pytest_mcp_storage.report.model import BackendReport, Cause, ClauseReport, Report
from pytest_mcp_storage.report.write import write
from tests.parts import browser_program

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
READABLE = 4.5
"""Contrast of text (WCAG 2.2, 1.4.3)."""

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = browser_program()
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """Open a report's page as a file, in a separate browser context; an error in the page fails the test."""
    contexts, wrong = [], []

    def asked(request: Any, path: Path) -> None:
        if request.url.partition("#")[0] != path.as_uri():
            wrong.append(f"it asked for {request.url}")

    def open_report(report: Report, at: str = "", **options: Any) -> Page:
        path = tmp_path / "report.html"
        write(report, path)
        context = browser.new_context(**options)
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: wrong.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("request", lambda request: asked(request, path))
        page.goto(path.as_uri() + at)
        return page

    yield open_report
    for context in contexts:
        context.close()
    assert wrong == []


def cell(page: Page, clause: str, backend: str) -> Any:
    return page.get_by_role("button", name=re.compile(f"^{clause} on {re.escape(backend)}:"))


def panel(page: Page) -> Any:
    return page.locator(".panel:popover-open")


def test_a_cell_opens_its_evidence(open_page: Open, every_outcome: Report) -> None:
    page = open_page(every_outcome)
    expect(panel(page)).to_have_count(0)
    cell(page, "EX-2", "sqlite").click()
    for text in (
        "What EX-2 says.",
        "get_session returned the session 1.2 s after its TTL of 1 s",
        "return None",
        "… 1.2 s pass …",
        "left out: a half (needs KEY)",
        "pytest --mcp-backend=sqlite --mcp-clause=EX-2 --hypothesis-seed=7",
    ):
        expect(panel(page)).to_contain_text(text)
    expect(panel(page).locator("ol.history > li")).to_have_count(3)
    expect(panel(page).get_by_role("heading").first).to_be_focused()
    page.keyboard.press("Escape")
    expect(panel(page)).to_have_count(0)
    expect(cell(page, "EX-2", "sqlite")).to_be_focused()


def test_a_cause_leads_to_the_clause_to_fix_first(open_page: Open, every_outcome: Report) -> None:
    every_outcome.backends[0].causes = [Cause("expired sessions are still served", ["EX-2", "LC-3"], "EX-2")]
    page = open_page(every_outcome)
    page.get_by_role("button", name="evidence of EX-2").click()
    expect(panel(page)).to_contain_text("What EX-2 says.")
    expect(page).to_have_url(re.compile("#EX-2@sqlite$"))
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="evidence of EX-2")).to_be_focused()
    assert Axe().run(page).violations_count == 0


@pytest.mark.parametrize(
    ("clause", "reported"),
    [
        ("EX-1", "passed"),
        ("EX-10", "the server rounds; issue 12"),
        ("LC-1", "needs SHARED"),
        ("LC-2", "Traceback"),
        ("LC-3", "failed SHOULD"),
    ],
)
def test_each_outcome_says_why(open_page: Open, every_outcome: Report, clause: str, reported: str) -> None:
    page = open_page(every_outcome)
    cell(page, clause, "sqlite").click()
    expect(panel(page)).to_contain_text(reported)


def test_the_command_is_copied(open_page: Open, every_outcome: Report) -> None:
    page = open_page(every_outcome, permissions=["clipboard-read", "clipboard-write"])
    cell(page, "EX-2", "sqlite").click()
    command = panel(page).locator(".reproduce")
    command.get_by_role("button", name="Copy").click()
    expect(command.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == "pytest --mcp-backend=sqlite --mcp-clause=EX-2 --hypothesis-seed=7"


@pytest.mark.parametrize("width", [390, 1280])
def test_the_test_that_runs_alone_is_copied_with_the_keyboard_and_without_a_network(
    open_page: Open, every_outcome: Report, width: int
) -> None:
    page = open_page(every_outcome, permissions=["clipboard-read", "clipboard-write"], offline=True,
                     viewport={"width": width, "height": 800})  # fmt: skip
    cell(page, "EX-2", "sqlite").click()
    summary = panel(page).locator("summary")
    expect(summary).to_contain_text("repro/test_sqlite_ex_2.py")
    summary.focus()
    page.keyboard.press("Enter")
    alone = panel(page).locator(".file")
    expect(alone.locator("code")).to_be_visible()
    for _ in range(3):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('.file button')"):
            break
    page.keyboard.press("Enter")
    expect(alone.get_by_role("button", name="Copied")).to_be_focused()
    assert page.evaluate("navigator.clipboard.readText()") == every_outcome.backends[0].clauses[1].stand_alone
    assert page.evaluate("document.querySelector('.panel:popover-open').scrollWidth") <= width


def test_the_keyboard_reaches_every_cell_and_tab_passes_the_matrix_in_one_step(
    open_page: Open, every_outcome: Report
) -> None:
    page = open_page(every_outcome)
    page.locator("#only").focus()
    page.keyboard.press("Tab")
    expect(page.locator(".frame")).to_be_focused()
    page.keyboard.press("Tab")
    expect(cell(page, "EX-1", "sqlite")).to_be_focused()
    for key, clause, backend in (
        ("ArrowDown", "EX-2", "sqlite"),
        ("ArrowRight", "EX-2", "memory"),
        ("ArrowRight", "EX-2", "memory"),
        ("Control+End", "LC-3", "memory"),
        ("Home", "LC-3", "sqlite"),
        ("ArrowUp", "LC-2", "sqlite"),
        ("Control+Home", "EX-1", "sqlite"),
        ("End", "EX-1", "memory"),
    ):
        page.keyboard.press(key)
        expect(cell(page, clause, backend)).to_be_focused()
    page.keyboard.press("Enter")
    expect(panel(page)).to_contain_text("What EX-1 says.")
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('table')") is None


def test_only_clauses_with_something_to_look_into(open_page: Open, every_outcome: Report) -> None:
    page = open_page(every_outcome)
    page.get_by_label("only clauses with something to look into").check()
    shown = [text for text in page.locator("tbody tr:not(.band) th b").all() if text.is_visible()]
    assert [text.inner_text() for text in shown] == ["EX-2", "EX-10", "LC-2", "LC-3"]
    cell(page, "EX-10", "sqlite").focus()
    page.keyboard.press("ArrowDown")
    expect(cell(page, "LC-2", "sqlite")).to_be_focused()


def test_each_cell_has_its_own_address(open_page: Open, every_outcome: Report) -> None:
    page = open_page(every_outcome, at="#EX-10@sqlite")
    expect(panel(page)).to_contain_text("the server rounds")
    page.keyboard.press("Escape")
    cell(page, "LC-1", "memory").click()
    expect(page).to_have_url(re.compile("#LC-1@memory$"))
    page.keyboard.press("Escape")
    expect(panel(page)).to_have_count(0)
    expect(page).to_have_url(re.compile(r"report\.html$"))


@pytest.mark.parametrize("at", ["#EX-2@my.package:First", "#EX-2@my.package%3AFirst"])
def test_an_address_may_be_written_as_people_do(
    open_page: Open, make_report: Callable[..., Report], make_backend: Callable[..., BackendReport],
    make_clause: Callable[..., ClauseReport], at: str,
) -> None:  # fmt: skip
    page = open_page(make_report(make_backend("my.package:First", make_clause("EX-2"))), at=at)
    expect(panel(page)).to_contain_text("What EX-2 says.")


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("count", [2, 6])
def test_long_names_with_the_same_beginning_are_shown_to_their_ends(
    open_page: Open, every_outcome: Report, make_backend: Callable[..., BackendReport], width: int, count: int
) -> None:
    start = "mypackage.testing.storage_harness:Harness"
    rows = every_outcome.backends[0].clauses
    every_outcome.backends = [make_backend(f"{start}{n}", *rows, verdict="not_measured") for n in range(count)]
    page = open_page(every_outcome, viewport={"width": width, "height": 800})
    for name in page.locator(".verdicts .name, thead th span").all():
        assert name.evaluate("e => e.scrollWidth <= e.clientWidth && e.scrollHeight <= e.clientHeight")


def test_paper_has_the_statements_and_the_evidence_of_what_failed(open_page: Open, every_outcome: Report) -> None:
    every_outcome.backends[0].clauses[0].statement = "A long statement. " * 20
    page = open_page(every_outcome)
    page.emulate_media(media="print")
    reported = page.locator(".panel:visible h3 b").all_inner_texts()
    assert reported == ["EX-2", "EX-10", "LC-3"]
    expect(page.locator(".panel button:visible")).to_have_count(0)
    statement = page.locator("th[scope=row]").first
    assert statement.evaluate("e => e.scrollWidth <= e.clientWidth && getComputedStyle(e).whiteSpace") == "normal"


def test_without_scripts_a_cell_opens_all_the_same(open_page: Open, every_outcome: Report) -> None:
    page = open_page(every_outcome, java_script_enabled=False)
    cell(page, "EX-2", "sqlite").click()
    opened = page.locator(".panel", has_text="What EX-2 says.").first
    expect(opened).to_be_visible()
    opened.get_by_role("button", name="Close").click()
    expect(opened).to_be_hidden()


def test_hostile_text_is_shown_and_does_nothing(open_page: Open, hostile: Report, hostile_text: str) -> None:
    page = open_page(hostile)
    page.locator("tbody td button").first.click()
    shown = printable(hostile_text)
    assert panel(page).locator("dd").all_text_contents() == [shown, shown, shown]
    assert panel(page).locator("p.statement").text_content() == shown
    assert panel(page).locator("pre").text_content() == shown
    assert panel(page).locator(".reproduce code").text_content() == shown
    assert panel(page).locator(".file code").text_content() == shown
    assert panel(page).locator("summary code").text_content() == shown
    assert panel(page).locator("ol.history > li > span").all_text_contents() == [shown]
    assert page.locator("thead th").nth(1).text_content() == shown
    assert page.evaluate("window.pwned") is None


@pytest.mark.parametrize("width", [320, 390])
def test_a_phone_shows_it_without_moving_the_page_sideways(
    open_page: Open, every_outcome: Report, make_backend: Callable[..., BackendReport], width: int
) -> None:
    every_outcome.backends += [make_backend(f"package{n}.storage:Harness", verdict="conformant") for n in range(18)]
    page = open_page(every_outcome, viewport={"width": width, "height": 800}, is_mobile=True, has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    first = cell(page, "EX-2", "sqlite")
    first.scroll_into_view_if_needed()
    box = first.bounding_box()
    assert box is not None
    assert min(box["width"], box["height"]) >= 44, "a finger finds it"
    first.tap()
    opened = panel(page).bounding_box()
    assert opened is not None
    assert round(opened["width"]) == width
    assert page.evaluate("document.querySelector('.panel:popover-open').scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_signs_can_be_read_and_distinguished_without_colour(
    open_page: Open, every_outcome: Report, scheme: str
) -> None:
    page = open_page(every_outcome, color_scheme=scheme)
    paper = luminance(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    looks = {}
    for sign in page.locator(".legend .sign").all():
        colour, plain, stripes = sign.evaluate(
            "e => { const s = getComputedStyle(e); return [s.color, s.backgroundColor, s.backgroundImage] }"
        )
        fills = re.findall(r"rgb\([^)]*\)", stripes) or [plain]
        for fill in fills:
            ground = paper if fill == "rgba(0, 0, 0, 0)" else luminance(fill)
            assert contrast(luminance(colour), ground) >= READABLE, sign.get_attribute("class")
        looks[sign.get_attribute("class")] = (sign.inner_text(), ground)
    assert len({character for character, _ in looks.values()}) == len(looks) == 6
    passed, failed = looks["sign passed"][1], looks["sign failed"][1]
    assert contrast(passed, failed) >= 3, "their fills differ in greyscale"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_to_fix(open_page: Open, every_outcome: Report, scheme: str) -> None:
    page = open_page(every_outcome, color_scheme=scheme, reduced_motion="reduce")
    closed = Axe().run(page)
    cell(page, "EX-2", "sqlite").click()
    expect(panel(page)).to_be_visible()
    opened = Axe().run(page)
    found = [(each["id"], [node["html"] for node in each["nodes"]])
             for result in (closed, opened) for each in result.response["violations"]]  # fmt: skip
    assert found == []


def luminance(colour: str) -> float:
    """Return the luminance of ``rgb(…)``, as WCAG 2 defines it."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: float, other: float) -> float:
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)
