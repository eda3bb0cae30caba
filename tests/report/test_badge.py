"""The badge: its words, its colour, and that its texts fit."""

from __future__ import annotations

import re
from collections.abc import Callable
from xml.etree import ElementTree

import pytest

from pytest_mcp_storage.report.badge import COLOURS, LONGEST_NAME, MARGIN, width_of
from pytest_mcp_storage.report.escaping import one_line
from pytest_mcp_storage.report.model import (
    CONFORMANT,
    NOT_CONFORMANT,
    NOT_MEASURED,
    WITH_DEVIATIONS,
    BackendReport,
    Report,
)
from pytest_mcp_storage.report.write import rendered

SVG = "{http://www.w3.org/2000/svg}"


class Badge:
    """A badge as an SVG reader sees it."""

    def __init__(self, report: Report) -> None:
        self.root = ElementTree.fromstring(rendered(report, ".svg"))
        self.texts = [text.text for text in self.root.iter(f"{SVG}text")]
        self.title = self.root.findtext(f"{SVG}title") or ""
        self.colour = next(self.root.iter(f"{SVG}rect")).get("fill")


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (CONFORMANT, "conformant (standard)"),
        (WITH_DEVIATIONS, "conformant with deviations (standard)"),
        (NOT_MEASURED, "not measured"),
        (NOT_CONFORMANT, "not conformant"),
    ],
)
def test_one_backend_is_named_with_its_verdict(
    make_report: Callable[..., Report], make_backend: Callable[..., BackendReport], verdict: str, words: str
) -> None:
    badge = Badge(make_report(make_backend("sqlite", verdict=verdict)))
    assert badge.texts == ["MCP storage · sqlite", words]
    assert badge.colour == COLOURS[verdict]
    assert badge.title == f"MCP storage conformance 2026-11: sqlite: {words}" == badge.root.get("aria-label")


def test_a_good_verdict_names_what_was_not_judged(
    make_report: Callable[..., Report], make_backend: Callable[..., BackendReport]
) -> None:
    backend = make_backend("mypkg.stores:Harness", verdict=CONFORMANT)
    backend.not_judged, backend.title = ["encryption", "outages", "row security"], "mine"
    badge = Badge(make_report(backend))
    assert badge.texts == ["MCP storage · mine", "conformant (standard; not judged: encryption, outages, +1)"]
    assert badge.title is not None
    assert badge.title.endswith("mine: conformant (standard; not judged: encryption, outages, row security)")


@pytest.mark.parametrize(
    ("verdicts", "message", "worst"),
    [
        ((CONFORMANT, CONFORMANT), "2 of 2 conformant", CONFORMANT),
        ((CONFORMANT, WITH_DEVIATIONS), "2 of 2 conformant", WITH_DEVIATIONS),
        ((WITH_DEVIATIONS, NOT_MEASURED, CONFORMANT), "2 of 3 conformant", NOT_MEASURED),
        ((NOT_MEASURED, NOT_CONFORMANT), "0 of 2 conformant", NOT_CONFORMANT),
        ((), "0 of 0 conformant", NOT_MEASURED),
    ],
)
def test_several_backends_are_counted_in_the_colour_of_the_worst(
    make_report: Callable[..., Report],
    make_backend: Callable[..., BackendReport],
    verdicts: tuple[str, ...],
    message: str,
    worst: str,
) -> None:
    badge = Badge(make_report(*(make_backend(f"store{n}", verdict=each) for n, each in enumerate(verdicts))))
    assert badge.texts == ["MCP storage", message]
    assert badge.colour == COLOURS[worst]


def test_the_texts_are_inside_their_fields(
    make_report: Callable[..., Report], make_backend: Callable[..., BackendReport]
) -> None:
    for name in ("x", "W" * 30, "漢字", "i" * 30):
        badge = Badge(make_report(make_backend(name)))
        left, right = (text for text in badge.root.iter(f"{SVG}text"))
        field = int(re.findall(r"H(\d+)V", next(badge.root.iter(f"{SVG}path")).get("d") or "")[0])
        assert int(left.get("x") or 0) + int(left.get("textLength") or 0) + MARGIN == field
        end = int(right.get("x") or 0) + int(right.get("textLength") or 0) + MARGIN
        assert end == int(badge.root.get("width") or 0)


def test_a_hostile_name_is_text_and_a_long_one_is_cut(hostile: Report, hostile_text: str) -> None:
    badge = Badge(hostile)
    assert {element.tag.removeprefix(SVG) for element in badge.root.iter()} == {
        "svg",
        "title",
        "rect",
        "path",
        "g",
        "text",
    }
    assert one_line(hostile_text) in badge.title
    assert badge.texts[0] is not None
    assert "…" in badge.texts[0]
    assert len(badge.texts[0].partition(" · ")[2]) == LONGEST_NAME
    assert not any(name.startswith("on") for element in badge.root.iter() for name in element.attrib)


def test_long_names_with_the_same_beginning_are_distinguished(
    make_report: Callable[..., Report], make_backend: Callable[..., BackendReport]
) -> None:
    names = [f"mypackage.storage_harness:{each}" for each in ("Hurried", "RaisesEnter")]
    shown = [Badge(make_report(make_backend(name))).texts[0] for name in names]
    assert shown == ["MCP storage · mypackage.…orage_harness:Hurried", "MCP storage · mypackage.…e_harness:RaisesEnter"]


@pytest.mark.parametrize("colour", [*COLOURS.values(), "#3a4048"])
def test_white_reads_on_its_colours(colour: str) -> None:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    assert 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05) >= 4.5


def test_a_text_takes_the_sum_of_its_characters() -> None:
    assert width_of("") == 0
    assert width_of("iii") == 9
    assert width_of("mmm") == 32
    assert width_of("conformant") > width_of("illicitill")
