"""The API reference builds, and leads to every public name."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import pytest_mcp_storage
import reference_backends

BUILD = Path(__file__).parents[1] / "docs" / "api.py"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built in a process of its own: the build changes what it documents."""
    folder = tmp_path_factory.mktemp("api")
    subprocess.run([sys.executable, BUILD, folder], check=True)
    return folder


@pytest.mark.parametrize("package", [reference_backends, pytest_mcp_storage], ids=lambda each: each.__name__)
def test_every_public_name_is_there(package: object, pages: Path) -> None:
    page = (pages / f"{package.__name__}.html").read_text()  # type: ignore[attr-defined]
    missing = [name for name in package.__all__ if f'<section id="{name}">' not in page]  # type: ignore[attr-defined]
    assert not missing


def test_a_session_shows_types_and_no_addresses(pages: Path) -> None:
    page = (pages / "reference_backends.html").read_text()
    assert 'id="SessionData.identity"' in page
    assert " at 0x" not in page
    assert "PydanticUndefined" not in page


def test_a_warning_fails_the_build(tmp_path: Path) -> None:
    broken = tmp_path / "api.py"
    broken.write_text(BUILD.read_text().replace("setattr(package, public, value)", "pass"))
    built = subprocess.run([sys.executable, broken, tmp_path / "pages"], capture_output=True, text=True, check=False)
    assert built.returncode != 0
    assert "does not resolve" in built.stderr


@pytest.mark.parametrize("name", [name for name in reference_backends.__all__ if name.endswith("StorageBackend")])
def test_every_method_of_a_store_says_what_it_promises(name: str) -> None:
    store = getattr(reference_backends, name)
    methods = {each: inspect.getdoc(method) for each, method in inspect.getmembers(store, inspect.isfunction)}
    assert not [each for each, said in methods.items() if not each.startswith("_") and not said]
