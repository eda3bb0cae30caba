"""From ``module:attribute`` to an object, or to an error that says what to write instead."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_mcp_storage.session.loading import BackendNameError, load

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Return a function that writes modules into a folder outside ``sys.path``, and unloads them after the test."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)

    def made(**modules: str) -> Path:
        for name, text in modules.items():
            path = tmp_path / f"{name.replace('__', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    yield made
    for name in set(sys.modules) - before:
        del sys.modules[name]


def refusal(name: str, folder: Path) -> str:
    with pytest.raises(BackendNameError) as caught:
        load(name, folder)
    return str(caught.value)


def test_modules_of_the_folder_are_found(write: Write) -> None:
    folder = write(mine_one="class Outer:\n    inner = 7\n", mine_package__store="kept = 8\n")
    assert load("mine_one:Outer.inner", folder) == 7
    assert load("mine_package.store:kept", folder) == 8


def test_an_installed_module_goes_before_one_of_the_folder(write: Write) -> None:
    assert load("json:dumps", write(json="dumps = 'the wrong one'\n")) is not None
    assert callable(load("json:dumps", write()))


@pytest.mark.parametrize("name", ["mine:", ":Harness", "./mine.py:Harness", ".mine:Harness", "my-package:Harness"])
def test_what_is_no_name_is_explained_by_example(write: Write, name: str) -> None:
    assert refusal(name, write()) == f"backend {name!r} is no module:attribute, such as mypackage.storage:MyHarness"


def test_a_slip_of_the_pen_gets_a_hint(write: Write) -> None:
    folder = write(mine_two="class MyHarness: ...\n")
    assert refusal("mine_two:MyHarnes", folder) == (
        "mine_two:MyHarnes: module 'mine_two' has no attribute 'MyHarnes'; is 'MyHarness' meant?"
    )


def test_a_module_that_is_nowhere_takes_one_line(write: Write) -> None:
    assert refusal("nowhere_at_all:Harness", folder := write()) == (
        "backend 'nowhere_at_all:Harness' can't be loaded: No module named 'nowhere_at_all'; "
        f"looked for among what is installed and in {folder}"
    )


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("int('x')\n", "ValueError"),
        ("import mine_missing\n", "No module named 'mine_missing'"),
        ("def (:\n", "SyntaxError"),
        ("raise SystemExit(0)\n", "SystemExit"),
        ("import pytest\npytest.importorskip('mine_missing')\n", "Skipped"),
    ],
)
def test_a_module_that_fails_shows_where_and_no_more(write: Write, text: str, kind: str) -> None:
    folder = write(mine_broken=text)
    first, *rest = refusal("mine_broken:Harness", folder).splitlines()
    assert first.startswith(f"backend 'mine_broken:Harness' can't be loaded: {kind}")
    reported = "\n".join(rest)
    assert str(folder / "mine_broken.py") in reported
    assert "importlib" not in reported
    assert "loading.py" not in reported


def test_ctrl_c_is_not_taken_for_a_broken_module(write: Write) -> None:
    with pytest.raises(KeyboardInterrupt):
        load("mine_stopped:Harness", write(mine_stopped="raise KeyboardInterrupt\n"))
