"""The Markdown as GitHub renders it: a table, the folded parts below it, and no text read as markup."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

from pytest_mcp_storage.report.escaping import one_line
from pytest_mcp_storage.report.markdown import LONGEST, as_markdown, plain
from pytest_mcp_storage.report.model import BackendReport, ClauseReport, Report
from pytest_mcp_storage.spec.outcome import Outcome

GITHUB = MarkdownIt("gfm-like", {"linkify": False}).enable("table")
"""CommonMark with tables, and HTML let through, as GitHub does."""


class Rendered(HTMLParser):
    """What a browser makes of it: the elements, and the text inside each kind."""

    def __init__(self, markdown: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[tuple[tuple[str, ...], str]] = []
        self._open: list[str] = []
        self.feed(GITHUB.render(markdown))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert all(name in ("class", "style") for name, _ in attrs)  # "text-align" of a column
        self.tags.append(tag)
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, "each element ends where it should"

    def handle_data(self, data: str) -> None:
        self.texts.append((tuple(self._open), data))

    def text(self, *within: str) -> str:
        return "".join(text for place, text in self.texts if set(within) <= set(place))


def test_the_verdicts_are_in_a_table(every_outcome: Report) -> None:
    lines = as_markdown(every_outcome).splitlines()
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert table[0] == ["backend", "verdict", "passed", "failed", "failed SHOULD", "deviation", "not applicable",
                        "not measured"]  # fmt: skip
    assert table[2:] == [
        ["<code>sqlite</code>", "✗ not conformant", "1", "1", "1", "1", "1", "1"],
        ["<code>memory</code>", "✓ conformant (standard)", "6", "·", "·", "·", "·", "·"],
    ]
    assert Rendered(as_markdown(every_outcome)).tags.count("table") == 1


def test_what_did_not_pass_is_folded_below_it_failures_first(every_outcome: Report) -> None:
    page = Rendered(as_markdown(every_outcome))
    titles = re.findall(r"<summary>(.*?)</summary>", GITHUB.render(as_markdown(every_outcome)))
    marks = [re.sub("<[^>]*>", "", title).split(":")[0] for title in titles]
    assert marks == [
        "✗ sqlite EX-2 (MUST)",
        "! sqlite LC-3 (SHOULD)",
        "D sqlite EX-10 (MUST)",
        "? sqlite",
    ]
    assert page.tags.count("details") == len(titles)
    inside = page.text("details")
    for text in ("What EX-2 says.", "return None", "… 1.2 s pass …", "the server rounds; issue 12", "boom"):
        assert text in inside
    assert "pytest --mcp-backend=sqlite --mcp-clause=EX-2 --hypothesis-seed=7" in page.text("pre", "code")


def test_hostile_text_is_text(hostile: Report, hostile_text: str) -> None:
    markdown = as_markdown(hostile)
    page = Rendered(markdown)
    allowed = {"h3", "table", "thead", "tbody", "tr", "th", "td", "code", "details", "summary", "ul", "li", "strong",
               "pre", "p"}  # fmt: skip
    assert set(page.tags) <= allowed
    assert page.tags.count("table") == 1
    assert page.tags.count("tr") == 2, "no row of the table is broken"
    assert one_line(hostile_text) in page.text("td", "code")
    assert one_line(hostile_text) in page.text("summary", "code")


def test_mentions_and_links_are_in_code_so_that_nobody_is_notified(hostile: Report) -> None:
    page = Rendered(as_markdown(hostile))
    loose = "".join(text for place, text in page.texts if not {"code", "pre"} & set(place))
    assert not re.search(r"[@#]\w|://", loose)


@pytest.mark.parametrize(
    "text", ["a `b` *c* _d_ | e", "<b>&amp;", "$x$ :smile: ~~s~~ [l](u) ![i](u)", "1 \\| 2", "{{x}}"]
)
def test_markup_in_a_plain_text_is_shown_as_it_is(text: str) -> None:
    page = Rendered(f"| a |\n| - |\n| {plain(text)} |\n")
    assert page.text("td") == text
    assert set(page.tags) <= {"table", "thead", "tbody", "tr", "th", "td"}


@pytest.mark.parametrize("text", ["ask @someone", "see #12", "at https://evil.example/", "at www.evil.example"])
def test_what_github_would_link_or_notify_is_in_code(text: str) -> None:
    assert Rendered(plain(text)).text("code") == text
    assert Rendered(plain(text.translate(dict.fromkeys(map(ord, "@#:."))))).text("code") == ""


def test_a_fence_is_longer_than_any_in_the_text(
    make_report: Callable[..., Report],
    make_backend: Callable[..., BackendReport],
    make_clause: Callable[..., ClauseReport],
) -> None:
    command = "pytest '--mcp-backend=a\n````\n</details> **b**'"
    row = make_clause("EX-1", Outcome.FAILED, history=["a `````` b"], reproduce=command)
    page = Rendered(as_markdown(make_report(make_backend("sqlite", row))))
    assert command in page.text("pre", "code")
    assert "a `````` b" in page.text("pre", "code")


def test_clauses_with_one_reason_are_folded(unmeasured: Report) -> None:
    assert "- EX-2 to EX-11: not selected by" in as_markdown(unmeasured)


def test_what_does_not_fit_into_a_comment_is_counted(
    make_report: Callable[..., Report],
    make_backend: Callable[..., BackendReport],
    make_clause: Callable[..., ClauseReport],
) -> None:
    history = [f"call {n} " + "x" * 500 for n in range(40)]
    rows = [make_clause(f"EX-{n}", Outcome.FAILED, history=history, message="m" * 5000) for n in range(1, 41)]
    markdown = as_markdown(make_report(make_backend("sqlite", *rows)))
    assert len(markdown) <= LONGEST + 200
    shown = markdown.count("<details>")
    assert 0 < shown < 40
    assert f"*{40 - shown} more did not fit" in markdown
    assert "… 20 lines …" in markdown
    Rendered(markdown)


def test_a_clean_run_is_a_table_and_no_more(
    make_report: Callable[..., Report],
    make_backend: Callable[..., BackendReport],
    make_clause: Callable[..., ClauseReport],
) -> None:
    markdown = as_markdown(make_report(make_backend("sqlite", make_clause("EX-1"))))
    assert "details" not in markdown
    assert markdown.endswith("tier standard · seed 7 · pytest-mcp-storage 0.1.0\n")
