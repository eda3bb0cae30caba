"""Values of variables as people write them: cleaned or refused, and no unintended files."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from reference_backends import ConfigurationError, StorageBackend, create_storage
from reference_backends.core.setting_values import checked, checked_path
from reference_backends.core.settings import Settings

VARIABLES = {"file": "MCP_TS_STORAGE_FILE", "sqlite": "MCP_TS_STORAGE_SQLITE_PATH"}
KEY = "00112233445566778899aabbccddeeff" * 2


def chosen(environ: dict[str, str]) -> str:
    """Return the name of the class that the environment leads to."""

    async def choose() -> StorageBackend:
        backend = await create_storage(environ)
        await backend.disconnect()
        return backend

    return type(asyncio.run(choose())).__name__


@pytest.mark.parametrize("name", VARIABLES)
@pytest.mark.parametrize("value", ["s.x\r", '"s.x"', "'s.x'", " s.x\t\n", '"s.x"\r\n', "./s.x", "~/s.x", "a/../s.x"])
def test_a_path_is_cleaned(name: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    chosen({VARIABLES[name]: value, "MCP_TS_STORAGE_TYPE": f'"{name}"\r', "MCP_TS_STORAGE_STRICT": "'1'"})
    made = {path.name for path in tmp_path.iterdir()} - {"a"}
    assert made <= {"s.x", "s.x.lock", "s.x-wal", "s.x-shm"}
    assert name == "file" or "s.x" in made


REFUSED_PATHS = [
    "sqlite:///data/s.db",
    "sqlite:////data/s.db",
    "sqlite+aiosqlite:///s.db",
    "sqlite3:s.db",
    "SQLite://s.db",
    "file:u.db?mode=memory",
    "file:///tmp/s.json",
    "https://example.com/s.json",
    "postgresql://host/db",
    "jdbc:sqlite:s.db",
    ":memory:",
    '"s.json',
    "s.json'",
    'da"ta/s.json',
    "$DATA/s.json",
    "${DATA}/s.json",
    "data/$NAME",
    "{{ data }}/s.json",
    "%DATA%/s.json",
    "<path>",
    "undefined",
    "null",
    "None",
    "s\x00.json",
    "s\n.json",
    "s\u200b.json",
    "\ufeffs.json",
    "C:\\data\\s.json",
    "data\\s.json",
    "s.json # the sessions",
    "data/",
    ".",
    "data/..",
    "~nobody-has-this-name/s.json",
]


@pytest.mark.parametrize("name", VARIABLES)
@pytest.mark.parametrize("value", REFUSED_PATHS)
@pytest.mark.parametrize("strict", ["", "1"])
def test_a_path_that_can_not_be_meant_is_refused(
    name: str, value: str, strict: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    environ = {VARIABLES[name]: value, "MCP_TS_STORAGE_STRICT": strict}
    for type_ in ("", name):
        with pytest.raises(ConfigurationError, match=VARIABLES[name]):
            chosen(environ | {"MCP_TS_STORAGE_TYPE": type_})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["a$b.json", "Tom's/s.json", "ab:cd.json", "a b.json", "100%.db", "é.json", "s#1.db"])
def test_an_unusual_path_is_left_as_it_is(path: str) -> None:
    assert checked_path("P", checked("P", path)) == path


@pytest.mark.parametrize("name", VARIABLES)
def test_an_empty_path_is_the_default_with_a_warning(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    chosen({"MCP_TS_STORAGE_TYPE": name, VARIABLES[name]: "\r", "STORAGE_ENCRYPTION_KEY": KEY})
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert f"{VARIABLES[name]} is empty" in warning


@pytest.mark.parametrize("value", [f'"{KEY}"', f"{KEY}\r", f"'{KEY},{KEY[::-1]}'", f" {KEY} , {KEY} "])
def test_a_key_is_cleaned(value: str, caplog: pytest.LogCaptureFixture) -> None:
    assert chosen({"MCP_TS_STORAGE_TYPE": "memory", "STORAGE_ENCRYPTION_KEY": value}) == "MemoryStorageBackend"
    assert "no encryption key" not in caplog.text


@pytest.mark.parametrize("value", ["${KEY}", "$KEY", "<key>", '""', "\r", f'"{KEY}', "undefined", f"{KEY}\u200b"])
def test_a_key_that_can_not_be_meant_is_refused(value: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        chosen({"MCP_TS_STORAGE_TYPE": "memory", "STORAGE_ENCRYPTION_KEY": value})
    assert KEY not in str(raised.value)


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"REDIS_URL": "${REDIS_URL}"}, "REDIS_URL holds a placeholder"),
        ({"REDIS_URL": "redis://:${PASSWORD}@127.0.0.1:1"}, "REDIS_URL holds a placeholder"),
        ({"REDIS_URL": "redis://:$PASSWORD@127.0.0.1:1"}, "REDIS_URL holds a placeholder"),
        ({"REDIS_URL": "undefined"}, "REDIS_URL is the word 'undefined'"),
        ({"SUPABASE_URL": "<your url>", "SUPABASE_SECRET_KEY": "k"}, "SUPABASE_URL holds a placeholder"),
        ({"SUPABASE_URL": "http://127.0.0.1:1", "SUPABASE_SECRET_KEY": "${KEY}"}, "SUPABASE_SECRET_KEY holds a placeh"),
        ({"SUPABASE_URL": "http://127.0.0.1:1", "SUPABASE_ANON_KEY": "k\u200b"}, "holds an invisible character"),
        ({"MCP_TS_STORAGE_TYPE": "redis", "REDIS_HOST": "h"}, "REDIS_URL is not set; set, but not read: REDIS_HOST"),
        ({"MCP_TS_STORAGE_TYPE": "redis", "REDIS_URL": ""}, "REDIS_URL is not set; empty: REDIS_URL"),
        ({"MCP_TS_STORAGE_TYPE": "supabase", "SUPABASE_SECRET_KEY": "k"}, "SUPABASE_URL is not"),
        ({"MCP_TS_STORAGE_TYPE": "${TYPE}"}, "MCP_TS_STORAGE_TYPE is none of"),
    ],
)
def test_a_server_that_can_not_be_meant_is_named(
    environ: dict[str, str], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert chosen(environ) == "MemoryStorageBackend"
    assert said in caplog.text
    with pytest.raises(ConfigurationError, match=r"^.*$") as raised:
        chosen(environ | {"MCP_TS_STORAGE_STRICT": "1"})
    assert said in str(raised.value)


@pytest.mark.parametrize(
    "name",
    ["MCP_TS_STORAGE_SQLITE_PAHT", "MCP_TS_STORAGE_PATH", "MCP_TS_STORAGE_STRIKT", "STORAGE_ENCRYPTION_KEYS",
     "MCP_TS_STORAGE_ENCRYPTION_KEY"],
)  # fmt: skip
def test_a_misspelt_name_is_reported(name: str, caplog: pytest.LogCaptureFixture) -> None:
    environ = {"MCP_TS_STORAGE_TYPE": "memory", name: "the-value"}
    chosen(environ)
    assert f"{name}: unknown variable" in caplog.text
    assert "the-value" not in caplog.text
    with pytest.raises(ConfigurationError, match=name):
        chosen(environ | {"MCP_TS_STORAGE_STRICT": "1"})


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"SUPABASE_SECRET_KEY": "k"}, "SUPABASE_SECRET_KEY is set, and SUPABASE_URL is not"),
        ({"NEXT_PUBLIC_SUPABASE_URL": "https://x"}, "not read: NEXT_PUBLIC_SUPABASE_URL"),
        ({"REDIS_URI": "redis://x", "REDIS_HOST": "h"}, "not read: REDIS_HOST, REDIS_URI"),
        ({"REDIS_URL": "''"}, "empty: REDIS_URL"),
        ({"MCP_TS_STORAGE_SQLITE_PATH": ""}, "empty: MCP_TS_STORAGE_SQLITE_PATH"),
    ],
)
def test_half_a_configuration_is_no_silent_memory(
    environ: dict[str, str], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert chosen(environ) == "MemoryStorageBackend"
    assert said in caplog.text
    with pytest.raises(ConfigurationError) as raised:
        chosen(environ | {"MCP_TS_STORAGE_STRICT": "1"})
    assert said in str(raised.value)


def test_settings_show_no_value() -> None:
    assert repr(Settings({"REDIS_URL": "secret", "OTHER": "secret"})) == "<Settings: REDIS_URL>"
