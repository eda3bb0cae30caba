"""``mcp-storage key``: a new encryption key."""

from __future__ import annotations

import click


@click.command()
def key() -> None:
    """Print a new encryption key: 64 hexadecimal digits from the system's source of randomness.

    \b
      export STORAGE_ENCRYPTION_KEY=$(mcp-storage key)

    To rotate keys, put the new one in front and keep the old ones behind it, separated by commas. A key that is lost
    can't be replaced: what was sealed with it is gone.
    """
    from reference_backends.core.keyring import new_key

    click.echo(new_key())
