"""``mcp-storage key``: a new encryption key."""

from __future__ import annotations

import click


@click.command()
def key() -> None:
    r"""Print a new encryption key: 64 hexadecimal digits from the system's source of randomness.

    \b
      export STORAGE_ENCRYPTION_KEY=$(mcp-storage key)

    To rotate keys, put the new one in front and keep the old ones behind it, separated by commas. A lost key can't be
    replaced: nobody can read what was sealed with it.
    """
    from reference_backends.core.keyring import new_key

    click.echo(new_key())
