"""``mcp-storage bridge-kit``: files that the author of a bridge copies into their own repository."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

HERE = Path(__file__).parents[1] / "bridge"
KIT = ("node/serve.mjs", "node/values.mjs", "examples/memory_bridge.py", "protocol.schema.json")


@click.command("bridge-kit")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def bridge_kit(folder: Path) -> None:
    """Copy what a bridge is made from into FOLDER: serve() for Node, an example in one file, and the JSON Schema."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in KIT:
        target = folder / Path(name).name
        if target.exists() and target.read_bytes() != (HERE / name).read_bytes():
            raise click.ClickException(f"{target} exists already with other content: move it away first")
        shutil.copyfile(HERE / name, target)
        click.echo(target)
