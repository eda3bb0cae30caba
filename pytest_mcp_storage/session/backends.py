"""Resolve the name after ``--mcp-backend`` to a harness."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, entry_points, packages_distributions, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_mcp_storage.engine.harness_checks import check_backend, check_class, check_maker
from pytest_mcp_storage.engine.timeouts import awaitable
from pytest_mcp_storage.session.loading import BackendNameError, load
from pytest_mcp_storage.spec.harness import BackendHarness

if TYPE_CHECKING:
    from reference_backends import Clock, StorageBackend

GROUP = "pytest_mcp_storage.backends"
"""The entry-point group under which an installed package registers its harnesses."""

BUNDLED = {
    "memory": "pytest_mcp_storage.harnesses.memory:MemoryHarness",
    "file": "pytest_mcp_storage.harnesses.file:FileHarness",
    "sqlite": "pytest_mcp_storage.harnesses.sqlite:SqliteHarness",
    "redis": "pytest_mcp_storage.harnesses.redis:RedisHarness",
    "supabase": "pytest_mcp_storage.harnesses.supabase:SupabaseHarness",
}

STDIO, MCP_TS, KEY_VALUE = SCHEMES = ("stdio", "mcp-ts", "key-value")
"""Names of the form ``scheme:rest``: stores in other languages, and stores of py-key-value."""

MakeHarness = Callable[[], BackendHarness]


def resolve(name: str, *folders: Path) -> MakeHarness:
    """Return a callable that makes a harness of the named backend. ``folders``: modules there can be imported too.

    Raise :class:`BackendNameError`.
    """
    scheme, colon, rest = name.partition(":")
    if colon and scheme == STDIO:
        return _stdio_harness(rest)
    if colon and scheme == KEY_VALUE:
        return _key_value_harness(name, load(rest, *folders))
    return harness_of(name, load(path_of(name), *folders))


def path_of(name: str) -> str:
    """Return the ``module:attribute`` of a backend. Raise :class:`BackendNameError` for an unknown name."""
    scheme, colon, rest = name.partition(":")
    if colon and scheme == MCP_TS:
        return _mcp_ts_path(rest)
    if colon:
        return name
    if name in BUNDLED:
        return BUNDLED[name]
    registered = {entry.name: entry.value for entry in entry_points(group=GROUP)}
    if name in registered:
        return registered[name].partition("[")[0].strip()
    known = sorted({*BUNDLED, *registered})
    near = get_close_matches(name, known, n=1)
    hint = f"; is {near[0]!r} meant?" if near else ""
    raise BackendNameError(
        f"unknown backend {name!r}{hint} (known: {', '.join(known)}; "
        "or module:attribute, stdio:COMMAND, mcp-ts:STORE, key-value:MODULE:FACTORY)"
    )


def _stdio_harness(command: str) -> MakeHarness:
    from pytest_mcp_storage.bridge.backend_names import stdio_harness

    try:
        return stdio_harness(command)
    except ValueError as error:
        raise BackendNameError(f"backend {f'stdio:{command}'!r} can't be loaded: {error}") from None


def _key_value_harness(name: str, factory: Any) -> MakeHarness:
    from pytest_mcp_storage.harnesses.key_value import KeyValueHarness

    try:
        return KeyValueHarness.of(factory)
    except (ImportError, TypeError, ValueError) as error:
        raise BackendNameError(f"backend {name!r} can't be loaded: {error}") from None


def _mcp_ts_path(store: str) -> str:
    from pytest_mcp_storage.bridge.backend_names import mcp_ts_path

    try:
        return mcp_ts_path(store)
    except ValueError as error:
        raise BackendNameError(f"backend {f'mcp-ts:{store}'!r} can't be loaded: {error}") from None


def harness_of(name: str, target: Any) -> MakeHarness:
    """Return a callable that makes a harness of ``target``: a harness class, or a callable that returns a backend.

    Raise :class:`BackendNameError` for anything else, and for a harness without a method that it declares.
    """
    if inspect.isclass(target) and issubclass(target, BackendHarness):
        try:
            check_class(target)
        except TypeError as error:
            raise BackendNameError(f"{name}: {error}") from None
        return target
    if callable(target):
        return lambda: FactoryHarness(target)
    hint = "; name the harness's class, not an instance of it" if isinstance(target, BackendHarness) else ""
    raise BackendNameError(f"{name} is neither a BackendHarness subclass nor a callable that returns a backend{hint}")


class FactoryHarness(BackendHarness):
    """A plain harness around a callable that returns a backend: it has no capabilities."""

    dedicated = False

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make

    async def open(
        self,
        *,
        encryption_key: str | Sequence[str] | None = None,
        clock: Clock | None = None,
        default_ttl: float | None = None,
    ) -> StorageBackend:
        check_maker(self.make)
        made = self.make()
        backend: StorageBackend = await made if inspect.isawaitable(made) else made
        check_backend(backend, f"{getattr(self.make, '__qualname__', 'the callable')}()")
        await awaitable("init()", backend.init())
        return backend


def described(harness: BackendHarness) -> tuple[str, str]:
    """Return the origin of a harness as ``module:name``, and the version of its package.

    A harness with a ``version`` attribute gives the version of what it drives: a bridge drives another program. For
    packages of others this searches all that is installed, which takes some time.
    """
    source = harness.make if isinstance(harness, FactoryHarness) else type(harness)
    module = getattr(source, "__module__", "") or ""
    package = module.partition(".")[0]
    ours = package in ("pytest_mcp_storage", "reference_backends")  # an editable install has no list of files
    distributions = ["pytest-mcp-storage"] if ours else packages_distributions().get(package, [])
    try:
        release = version(distributions[0]) if distributions else "unknown"
    except PackageNotFoundError:
        release = "unknown"
    own = getattr(harness, "version", "")
    return f"{module}:{getattr(source, '__qualname__', type(source).__name__)}", own or release
