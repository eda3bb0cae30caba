"""The page as text: it loads nothing, escapes everything, and has a cell for each clause and backend."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from html.parser import HTMLParser
from typing import Any

import pytest

from pytest_mcp_storage.report.html import as_html, bands, seconds
from pytest_mcp_storage.report.model import BackendReport, ClauseReport, Report
from pytest_mcp_storage.spec.outcome import Outcome

MakeBackend = Callable[..., BackendReport]
MakeClause = Callable[..., ClauseReport]


class Page(HTMLParser):
    """The elements of a page, and whatever could make it ask for more."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.mark.parametrize("which", ["every_outcome", "hostile", "unmeasured"])
def test_the_page_needs_nothing_else(which: str, request: pytest.FixtureRequest) -> None:
    page = Page(as_html(request.getfixturevalue(which)))
    for tag, attributes in page.elements:
        assert tag not in ("img", "iframe", "object", "embed", "base", "form", "audio", "video", "a")
        assert not any(name.startswith("on") or name in ("src", "style") for name in attributes)
    assert [link["href"] for link in page.named("link")] == ["data:,"]
    assert len(page.named("script")) == 1


def test_its_policy_lets_in_its_own_script_and_style_and_nothing_else(every_outcome: Report) -> None:
    text = as_html(every_outcome)
    for tag in ("script", "style"):
        inside = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert len(inside) == 1
        assert f"{tag}-src 'sha256-{b64encode(sha256(inside[0].encode()).digest()).decode()}'" in text
    assert "default-src 'none'" in text


def test_hostile_text_adds_no_element(hostile: Report, hostile_text: str) -> None:
    text = as_html(hostile)
    tame = hostile.from_json(_replaced(hostile.to_json(), hostile_text))
    assert _tags(text) == _tags(as_html(tame))


def _tags(text: str) -> list[str]:
    """Return the text without the places at which a long name may break."""
    return [tag for tag, _ in Page(text).elements if tag != "wbr"]


def _replaced(data: Any, hostile_text: str) -> Any:
    if isinstance(data, dict):
        return {_replaced(key, hostile_text): _replaced(value, hostile_text) for key, value in data.items()}
    if isinstance(data, list):
        return [_replaced(item, hostile_text) for item in data]
    return data.replace(hostile_text, "tame") if isinstance(data, str) else data


@pytest.mark.parametrize(
    ("count", "shown"), [(0.0, "0"), (0.01234, "0.0123"), (12.345, "12.3"), (4321.9, "4322"), (3.15576e8, "315576000")]
)
def test_seconds_have_no_exponent(count: float, shown: str) -> None:
    assert seconds(count) == shown


def test_ids_are_unique_and_each_button_opens_a_panel_that_is_there(every_outcome: Report) -> None:
    page = Page(as_html(every_outcome))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    opened = [str(attributes["popovertarget"]) for attributes in page.named("button") if "popovertarget" in attributes]
    panels = [str(attributes["id"]) for attributes in page.named("div") if "popover" in attributes]
    assert sorted(opened) == sorted(panels * 2), "its cell opens a panel, and its own button closes it"
    assert len(panels) == 12


def test_rows_are_in_the_order_of_the_contract(every_outcome: Report) -> None:
    assert [[row.id for row in band.rows] for band in bands(every_outcome)] == [
        ["EX-1", "EX-2", "EX-10"],
        ["LC-1", "LC-2", "LC-3"],
    ]


def test_a_clause_that_one_run_did_not_know_is_left_blank_there(
    every_outcome: Report, make_backend: MakeBackend, make_clause: MakeClause
) -> None:
    every_outcome.backends.append(make_backend("younger", make_clause("EX-11", Outcome.FAILED)))
    rows = {row.id: row for band in bands(every_outcome) for row in band.rows}
    assert [cell.label.key for cell in rows["EX-11"].cells] == ["absent", "absent", "failed"]
    assert [cell.label.key for cell in rows["EX-1"].cells] == ["passed", "passed", "absent"]
    assert rows["EX-1"].clean
    assert not rows["EX-11"].clean
    assert "EX-1 is not in the run of younger" in as_html(every_outcome)


def test_a_report_without_backends_is_a_page_too(every_outcome: Report) -> None:
    every_outcome.backends = []
    assert "<table" in as_html(every_outcome)
