"""``mcp-storage key`` makes keys that the stores accept, and prints nothing else."""

from __future__ import annotations

from click.testing import CliRunner

from pytest_mcp_storage.cli import main
from reference_backends import Keyring


def test_each_key_is_new_and_a_keyring_takes_it() -> None:
    keys = [CliRunner().invoke(main, ["key"]).output for _ in range(3)]
    assert len(set(keys)) == 3
    for key in keys:
        assert key.endswith("\n")
        sealed = Keyring(key.strip()).seal({"access_token": "t"})
        assert Keyring(key.strip()).open(sealed) == {"access_token": "t"}


def test_its_help_says_how_to_set_and_to_rotate_it() -> None:
    said = CliRunner().invoke(main, ["key", "--help"]).output
    assert "STORAGE_ENCRYPTION_KEY=$(mcp-storage key)" in said
    assert "rotate" in said
