"""The site builds strictly, has every page, and can be read on a phone, in the dark, and by a screen reader."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, sync_playwright

import pytest_mcp_storage
import reference_backends
from pytest_mcp_storage import load_clauses
from pytest_mcp_storage.bridge.backend_names import MCP_TS_STORES
from tests.parts import browser_program

ROOT = Path(__file__).parents[2]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--allow-file-access-from-files"]  # fmt: skip
PAGES = (
    "index",
    "judge-your-store/index",
    "upstream/index",
    "upstream-report",
    "reference/clauses/EX-2/index",
    "reference/api/reference_backends/index",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the built site."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "DISABLE_MKDOCS_2_WARNING": "true"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = browser_program()
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield chromium
        chromium.close()


def test_every_clause_has_a_page(site: Path) -> None:
    missing = [each.id for each in load_clauses() if not (site / f"reference/clauses/{each.id}/index.html").is_file()]
    assert missing == []


def test_the_report_on_upstream_shows_every_store(site: Path) -> None:
    page = (site / "upstream-report.html").read_text(encoding="utf-8")
    assert [store for store in MCP_TS_STORES if f"mcp-ts:{store}" not in page] == []


@pytest.mark.parametrize("package", [reference_backends, pytest_mcp_storage], ids=lambda each: each.__name__)
def test_every_public_name_is_in_the_reference(package: object, site: Path) -> None:
    page = (site / f"reference/api/{package.__name__}/index.html").read_text(encoding="utf-8")  # type: ignore[attr-defined]
    missing = [name for name in package.__all__ if f'.{name}"' not in page]  # type: ignore[attr-defined]
    assert missing == []
    assert " at 0x" not in page


@pytest.mark.parametrize("name", [name for name in reference_backends.__all__ if name.endswith("StorageBackend")])
def test_every_method_of_a_store_has_a_docstring(name: str) -> None:
    store = getattr(reference_backends, name)
    methods = {each: inspect.getdoc(method) for each, method in inspect.getmembers(store, inspect.isfunction)}
    assert [each for each, text in methods.items() if not each.startswith("_") and not text] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_accessible_and_fits(site: Path, browser: Browser, page: str, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    opened = context.new_page()
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto((site / f"{page}.html").as_uri())
    problems = [each["id"] for each in Axe().run(opened).response["violations"]]
    overflow = opened.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    context.close()
    assert problems == []
    assert overflow <= 0
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
