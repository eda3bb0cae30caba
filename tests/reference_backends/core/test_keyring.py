"""Keys are parsed strictly, rotated by their order, and never shown."""

from __future__ import annotations

import re

import pytest

from reference_backends import ConfigurationError, DecryptionError, Keyring
from reference_backends.core.keyring import new_key

OLD, NEW, OTHER = "1" * 64, "2" * 64, "3" * 64


def test_the_first_key_seals_and_each_opens() -> None:
    old, rotated = Keyring(OLD), Keyring([NEW, OLD])
    assert rotated.open(old.seal("v")) == "v"
    assert Keyring(NEW).open(rotated.seal("v")) == "v"
    with pytest.raises(DecryptionError):
        old.open(rotated.seal("v"))
    with pytest.raises(DecryptionError):
        rotated.open(Keyring(OTHER).seal("v"))


def test_digits_of_either_case_make_the_same_key() -> None:
    assert Keyring("AB" * 32).open(Keyring("ab" * 32).seal([1])) == [1]


@pytest.mark.parametrize(
    "key",
    [
        "",
        "1" * 63,
        "1" * 65,
        "1" * 128,
        "g" * 64,
        " " + "1" * 63,
        "1" * 64 + "\n",
        "１" * 64,
        "é" * 64,
        b"1" * 64,
        None,
        1,
    ],
)
def test_any_other_key_is_refused_at_any_position(key: object) -> None:
    with pytest.raises(ConfigurationError, match=r"^the encryption key is not 64 hexadecimal digits"):
        Keyring([key])  # type: ignore[list-item]
    with pytest.raises(ConfigurationError, match="encryption key 2 of 3 is not 64"):
        Keyring([OLD, key, NEW])  # type: ignore[list-item]


@pytest.mark.parametrize("keys", [5, 1.5, True, object()])
def test_what_is_neither_text_nor_a_sequence_is_refused(keys: object) -> None:
    with pytest.raises(ConfigurationError, match="text"):
        Keyring(keys)  # type: ignore[arg-type]


def test_a_refused_key_is_not_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Keyring("canary-key" * 6)
    assert "canary" not in str(caught.value)


def test_no_key_at_all_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no encryption key"):
        Keyring([])


def test_it_shows_how_many_keys_it_holds_and_no_more() -> None:
    assert repr(Keyring([OLD, NEW])) == "<Keyring of 2>"


def test_a_new_key_is_a_key_and_new() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(re.fullmatch("[0-9a-f]{64}", key) for key in keys)
