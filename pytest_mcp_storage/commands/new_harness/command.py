"""``mcp-storage new-harness``: write a harness for a store, a test that judges it, and a CI file."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import click
from jinja2 import Environment, StrictUndefined

from pytest_mcp_storage.commands.new_harness.signature import SQLITE_URL, Signature, signature_of
from pytest_mcp_storage.engine.harness_checks import METHODS, OF_CAPABILITY
from pytest_mcp_storage.session.loading import BackendNameError, load
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.harness import BackendHarness

HERE = Path(__file__).parent


@click.command("new-harness")
@click.argument("store", metavar="MODULE:STORE")
def new_harness(store: str) -> None:
    """Write a harness for a store into this folder, with a test that judges it and a CI file.

    MODULE:STORE names a class with the methods of StorageBackend, or a function that returns a store, such as
    mypackage.storage:MyStore. The harness passes on what the signature takes: a path or URL, a key, a clock, a default
    TTL.
    """
    try:
        target = load(store, Path.cwd())
    except BackendNameError as error:
        raise click.ClickException(str(error)) from None
    if not callable(target) or (inspect.isclass(target) and issubclass(target, BackendHarness)):
        raise click.ClickException(f"{store} is not a class of stores; name the class or a function that returns one")
    try:
        found = signature_of(target)
    except (TypeError, ValueError) as error:
        raise click.ClickException(f"{store}: its signature can't be read: {error}") from None
    words = _words(store, target, found)
    texts = {path: _rendered(template, words) for path, template in _files(words["title"]).items()}
    if there := [str(path) for path, text in texts.items() if path.exists() and path.read_text("utf-8") != text]:
        raise click.ClickException(f"{', '.join(there)}: already there, with other content; rename or delete it first")
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        click.echo(f"wrote {path}")
    click.echo(_next_steps(target, found, words))


def _files(title: str) -> dict[Path, str]:
    name = title.replace("-", "_")
    return {
        Path(f"{name}_harness.py"): "harness.py.jinja",
        Path("tests") / f"test_{name}_contract.py": "test.py.jinja",
        Path(f".github/workflows/{title}-conformance.yml"): "conformance.yml.jinja",
    }


def _words(store: str, target: Any, found: Signature) -> dict[str, Any]:
    """Return what the templates are filled with."""
    module, _, path = store.partition(":")
    last = path.rpartition(".")[2]
    title = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|_+", "-", last).strip("-").lower()
    name = title.replace("-", "_")
    harness = f"{''.join(part[:1].upper() + part[1:] for part in last.split('_'))}Harness"
    declared = found.capabilities
    arguments = [f"{each.name}={each.value}" for each in found.given]
    arguments += [f"{each}=make_{each}()" for each in found.unknown]
    return {
        "store": path,
        "module": module,
        "imported": path.partition(".")[0],
        "is_class": inspect.isclass(target),
        "is_async": found.is_async,
        "file": f"{name}_harness.py",
        "backend": f"{name}_harness:{harness}",
        "harness": harness,
        "title": title,
        "variable": f"{name.upper()}_URL",
        "doc": "An empty store in a new folder for each run." if "folder" in found.uses else "Opens the store.",
        "capabilities": declared,
        "others": [each for each in Capability if each not in declared],
        "methods": {each: ", ".join(f"{name}()" for name in OF_CAPABILITY.get(each, ())) for each in Capability},
        "crash": Capability.CRASH in declared,
        "options": found.options,
        "unknown": found.unknown,
        "arguments": ", ".join([*arguments, *(["**given"] if found.options else [])]),
        "sqlite_url": SQLITE_URL,
        **{each: each in found.uses for each in ("folder", "engines", "key_value", "url")},
    }


def _rendered(template: str, words: dict[str, Any]) -> str:
    environment = Environment(  # noqa: S701
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )  # no HTML: what is rendered is Python and YAML
    return environment.from_string((HERE / template).read_text("utf-8")).render(words)


def _next_steps(target: Any, found: Signature, words: dict[str, Any]) -> str:
    declared = ", ".join(each.name for each in found.capabilities) or "nothing"
    lines = ["", f"{words['harness']} declares {declared}. HA-1 checks that."]
    if inspect.isclass(target) and (missing := [name for name in METHODS if not hasattr(target, name)]):
        lines.append(f"{words['store']} has no {', '.join(f'{name}()' for name in missing)}: write them first.")
    if found.unknown:
        lines.append(f"Edit {words['file']} first: {', '.join(f'make_{name}()' for name in found.unknown)}.")
    if words["url"]:
        lines.append(f"Set {words['variable']} to the URL of a server for tests.")
    return "\n".join([*lines, "Next:", f"  pytest --mcp-backend={words['backend']} --mcp-tier=smoke"])
