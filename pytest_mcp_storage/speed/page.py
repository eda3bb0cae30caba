"""The result as one HTML page, which loads nothing."""

from __future__ import annotations

from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from pytest_mcp_storage.report.html import content_hash, shown
from pytest_mcp_storage.speed import plot, words
from pytest_mcp_storage.speed.operations import OPERATIONS
from pytest_mcp_storage.speed.result import BenchResult
from pytest_mcp_storage.speed.run import CALLERS

_FOLDER = files("pytest_mcp_storage.speed").joinpath("template")


def as_html(result: BenchResult) -> str:
    """Return the page."""
    style = _FOLDER.joinpath("page.css").read_text(encoding="utf-8")
    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined, finalize=shown
    )
    stores = [store for store in result.stores if not store.refused]
    page: str = environment.from_string(_FOLDER.joinpath("page.html.jinja").read_text(encoding="utf-8")).render(
        result=result,
        stores=stores,
        operations=[operation.name for operation in OPERATIONS],
        callers=CALLERS,
        plots=plot.plots(stores),
        plot=plot,
        words=words,
        style=Markup(style),  # noqa: S704  # the package's own
        style_hash=content_hash(style),
    )
    return page
