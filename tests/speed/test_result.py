"""Figures, and what is said of them."""

from __future__ import annotations

import itertools
import re
import socket

import pytest

from pytest_mcp_storage.speed import plot, words
from pytest_mcp_storage.speed.connects import connects
from pytest_mcp_storage.speed.page import as_html
from pytest_mcp_storage.speed.result import BenchResult, Growth, Point, Speed, StoreResult, percentile
from pytest_mcp_storage.speed.timing import Sample


def growth(*times: float, operation: str = "list 10") -> Growth:
    return Growth(operation, tuple(Point(10 ** (2 + n), time) for n, time in enumerate(times)))


def test_the_growth_is_given_in_factors() -> None:
    found = growth(0.05, 0.4, 4.7)
    assert words.growth(found) == (
        "list 10 grows with others' sessions: ×94 for ×100 (exponent 0.99; 50 µs among 100, 4.7 ms among 10,000)"
    )


@pytest.mark.parametrize(
    ("times", "grows"), [((1, 1, 1), False), ((1, 1, 2.5), False), ((1, 1, 3.5), True), ((1, 0.1), False)]
)
def test_only_what_noise_does_not_explain_is_growth(times: tuple[float, ...], grows: bool) -> None:
    assert growth(*times).grows is grows


def test_growth_is_not_judged_from_one_size() -> None:
    found = growth(1.0)
    assert found.exponent is None
    assert not found.grows
    assert words.growth(found) == "list 10: too few sizes to say whether it grows"


def test_percentiles() -> None:
    ordered = [float(n) for n in range(1, 101)]
    assert [percentile(ordered, share) for share in (0.1, 0.5, 0.99, 1.0)] == [10, 50, 99, 100]
    assert percentile([3.0], 0.5) == percentile([3.0], 0.99) == 3


def test_a_speed_is_calculated_from_a_sample() -> None:
    speed = Speed.of("get", 16, Sample(latencies=[0.003, 0.001, 0.002], elapsed=0.5, connections=3))
    assert (speed.calls, speed.per_second, speed.p50_ms, speed.p99_ms, speed.connections) == (3, 6, 2, 3, 1)


@pytest.mark.parametrize(
    ("milliseconds", "text"), [(0.0054, "5.4 µs"), (0.216, "216 µs"), (9, "9 ms"), (12.34, "12.3 ms"), (1500, "1.5 s")]
)
def test_durations(milliseconds: float, text: str) -> None:
    assert words.duration(milliseconds) == text


def test_connections_are_counted_only_inside_the_block() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        with connects() as opened, socket.create_connection(server.getsockname()):
            pass
        with socket.create_connection(server.getsockname()):
            pass
    assert opened == ["socket.connect"]


def a_result(name: str) -> BenchResult:
    store = StoreResult(name, speeds=[Speed("get", 1, 5, 10.0, 1.0, 2.0, 1.0)], growth=[growth(0.05, 4.7)])
    flat = StoreResult("memory", compared=True, growth=[growth(0.01, 0.01)])
    refused = StoreResult("redis", compared=True, refused="no server")
    return BenchResult("suite", "2026-11-30T17:00:00+00:00", "machine", 60.0, [store, flat, refused])


def test_the_page_shows_findings_and_a_plot() -> None:
    page = as_html(a_result("mine"))
    assert "list 10 grows with others&#39; sessions: ×94 for ×10" in page
    assert "get opens 1 connection a call: keep one open, or a pool" in page
    assert "no server" in page
    assert len(re.findall("<polyline", page)) == 2


def test_a_name_from_elsewhere_is_escaped_in_the_page() -> None:
    page = as_html(a_result("<script>alert(1)</script>\u202e"))
    assert "<script" not in page
    assert "\u202e" not in page


def test_labels_of_a_plot_do_not_overlap() -> None:
    stores = [StoreResult(f"store {n}", growth=[growth(1.0, 1.0 + n / 1000)]) for n in range(6)]
    (drawn,) = plot.plots(stores)
    heights = sorted(line.label for line in drawn.lines)
    assert all(b - a >= plot.LABEL_HEIGHT - 1e-6 for a, b in itertools.pairwise(heights))
    assert max(heights) <= plot.HEIGHT - plot.BOTTOM + 1e-6
