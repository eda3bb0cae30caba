"""The command line's options and ini values, and the settings of a run."""

from __future__ import annotations

import argparse
import os
import random
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_mcp_storage.report.write import RENDERERS

if TYPE_CHECKING:
    from pytest_mcp_storage.engine.tiers import Tier
    from pytest_mcp_storage.spec.clauses import Clause

TIER_NAMES = ("smoke", "standard", "deep")
DEFAULT_TIER = "standard"
AUTO = "auto"
PROVIDERS = ("auto", "url", "native", "docker", "cli")
REPEATED = ("--mcp-revision", "--mcp-supabase")
"""Options that say what was judged and how: a command that reproduces a failure must repeat them."""
MISSPELLED = "mcp_backend"
"""A common mistake for ``mcp_backends``. Pytest would only warn, and a run that judges nothing would pass."""
SEED = "mcp_seed"
"""The key under which xdist's workers receive the seed."""
PROVIDER_VARIABLE = "MCP_STORAGE_SUPABASE"
"""The environment variable that carries ``--mcp-supabase`` to harnesses and to the processes they start."""


@dataclass(frozen=True)
class Options:
    """The settings of a run: which backends, which clauses, how thoroughly, and which reports."""

    backends: tuple[str, ...]
    tier: Tier
    revision: str
    clauses: tuple[Clause, ...]
    selected: frozenset[str]
    seed: int
    strict: bool
    destructive: bool
    deviations: Path | None
    reports: tuple[Path, ...]
    repro: Path | None = None
    """The folder for the test files of failed clauses."""
    coverage: bool = False
    """Whether to measure which branches of the store's code the suite exercises."""
    repeated: tuple[str, ...] = ()
    """The options that a command that reproduces a failure repeats."""

    def reproduce(self, backend: str, clause: str, seed: int | None = None) -> str:
        """Return the command that measures one clause again as this run did.

        It never contains the permission for destructive clauses: someone may paste it in front of another store. A
        store that the run starts needs no permission, and for any other the run names the option.
        """
        words = ["pytest", f"--mcp-backend={backend}", f"--mcp-clause={clause}",
                 f"--hypothesis-seed={self.seed if seed is None else seed}"]  # fmt: skip
        if self.tier.name != DEFAULT_TIER:
            words.append(f"--mcp-tier={self.tier.name}")
        if self.strict:
            words.append("--mcp-strict")
        return shlex.join([*words, *self.repeated])


def register(parser: pytest.Parser) -> None:
    """Add the options and the ini values."""
    group = parser.getgroup("mcp-storage", "conformance of MCP session stores")
    add = group.addoption
    add("--mcp-backend", action="append", metavar="NAME", help="judge this store (repeatable): memory, "
        "file, sqlite, redis, supabase, a registered name, module:attribute, stdio:COMMAND, mcp-ts:STORE, "
        "key-value:MODULE:FACTORY")  # fmt: skip
    add("--mcp-tier", choices=TIER_NAMES, help=f"how many examples and steps (default: {DEFAULT_TIER})")
    add("--mcp-clause", action="append", metavar="ID[,ID…]", help="only these clauses (EX-2) or groups (EX)")
    add("--mcp-revision", metavar="REV", help="judge by that revision of the contract")
    add("--mcp-deviations", metavar="FILE", help="known deviations, each with a reason (YAML)")
    add("--mcp-strict", action="store_true", help="failed SHOULD clauses fail the run too")
    add("--mcp-report", action="append", metavar="FILE", help="repeatable; .json, .html, .md or .svg by its ending")
    add("--mcp-repro", metavar="DIR", help="write a stand-alone test file for each failed clause")
    add("--mcp-allow-destructive", action="store_true", help="let store-wide clauses run on a store that may hold "
        "others' data")  # fmt: skip
    add("--mcp-no-coverage", action="store_true", help="do not measure which branches of the store were exercised")
    add("--mcp-workers", metavar="N", type=_workers, help="judge in this many processes (auto: one for each core; one "
        "for memory alone); needs pytest-xdist")  # fmt: skip
    add("--mcp-supabase", choices=PROVIDERS, help="how the Supabase stack is found or started (default: auto)")
    parser.addini("mcp_backends", "backends to judge if --mcp-backend is not given", type="args", default=[])
    parser.addini(MISSPELLED, "refused: the name is mcp_backends", type="args", default=[])
    parser.addini("mcp_tier", "the default of --mcp-tier", default=DEFAULT_TIER)
    parser.addini("mcp_deviations", "the default of --mcp-deviations", default="")
    parser.addini("mcp_strict", "the default of --mcp-strict", type="bool", default=False)


def _workers(text: str) -> int | str:
    if text != AUTO and not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is neither {AUTO} nor a number from 1 on")
    return text if text == AUTO else int(text)


def spread(config: pytest.Config) -> None:
    """Have xdist start as many workers as ``--mcp-workers`` asks for; ``-n``, and a run that judges nothing, win.

    Raise ``pytest.UsageError`` if xdist is not installed.
    """
    asked = config.getoption("--mcp-workers")
    names = names_given(config)
    if asked is None or not names or stays_out(config) or hasattr(config, "workerinput"):
        return
    if not config.pluginmanager.hasplugin("xdist"):
        raise pytest.UsageError("--mcp-workers needs pytest-xdist: pip install pytest-xdist")
    if config.option.numprocesses is None and asked != 1 and not (asked == AUTO and names == ("memory",)):
        config.option.numprocesses = asked


def names_given(config: pytest.Config) -> tuple[str, ...]:
    """Return the backends that the command line names, or else the ini file; each once."""
    return tuple(dict.fromkeys(config.getoption("--mcp-backend") or config.getini("mcp_backends")))


def only_prints(config: pytest.Config) -> bool:
    """Say whether pytest is asked only for information: then nothing is judged, and no backend is looked up."""
    asked = ("help", "version", "markers", "showfixtures", "show_fixtures_per_test", "cacheshow")
    return any(config.getoption(name, None) for name in asked)


def stays_out(config: pytest.Config) -> bool:
    """Say whether the suite stays out of the run: the user passed files or node ids, and none of our options.

    Backends in the ini file are for plain ``pytest``; a user who names a test wants that one. A folder does not count,
    nor does a package that ``--pyargs`` takes: in CI it means everything, and a run that judges nothing must not pass.
    """
    typed = {str(word) for word in config.invocation_params.args}
    folder = config.invocation_params.dir
    tests = [word for word in typed.intersection(config.args) if "::" in word or (folder / word).is_file()]
    named = config.args_source is pytest.Config.ArgsSource.ARGS and bool(tests)
    return named and not any(word.startswith("--mcp-") for word in typed)


def folders(config: pytest.Config) -> tuple[Path, ...]:
    """Return the folders in which modules of backends are looked for, in addition to the installed ones."""
    return tuple(dict.fromkeys((config.invocation_params.dir, _of_the_ini(config), config.rootpath)))


def refuse_misspelled(config: pytest.Config) -> None:
    """Raise ``pytest.UsageError`` if the ini file has the option's name instead of the ini value's."""
    if config.getini(MISSPELLED):
        raise pytest.UsageError(f"{MISSPELLED} in the ini file: the name there is mcp_backends")


def refuse_without_backend(config: pytest.Config) -> None:
    """Raise ``pytest.UsageError`` for one of our options without a backend: nothing would be judged.

    In ``addopts`` they are allowed: the same file serves runs that judge nothing.
    """
    for word in config.invocation_params.args:
        option = str(word).partition("=")[0]
        if option.startswith("--mcp-"):
            raise pytest.UsageError(f"{option} needs a store to judge: name one with --mcp-backend, or mcp_backends "
                                    "in the ini file")  # fmt: skip


def read(config: pytest.Config) -> Options:
    """Return the options of a run that judges backends. Raise ``pytest.UsageError`` for values that can't be used."""
    from pytest_mcp_storage.engine.exercised import unavailable
    from pytest_mcp_storage.engine.tiers import TIERS
    from pytest_mcp_storage.spec.clauses import LATEST, ContractError, load_clauses, select

    revision = config.getoption("--mcp-revision") or LATEST
    asked = " ".join(config.getoption("--mcp-clause") or []).upper().replace(",", " ").split()
    try:
        clauses = load_clauses(revision)
        selected = select(clauses, asked)
    except ContractError as error:
        raise pytest.UsageError(str(error)) from None
    tier = config.getoption("--mcp-tier") or config.getini("mcp_tier")
    if tier not in TIERS:
        raise pytest.UsageError(f"mcp_tier: unknown tier {tier!r} (known: {', '.join(TIERS)})")
    if provider := config.getoption("--mcp-supabase"):
        os.environ[PROVIDER_VARIABLE] = provider
    return Options(
        backends=names_given(config),
        tier=TIERS[tier],
        revision=revision,
        clauses=clauses,
        selected=frozenset(clause.id for clause in selected),
        seed=_seed(config),
        strict=config.getoption("--mcp-strict") or config.getini("mcp_strict"),
        destructive=config.getoption("--mcp-allow-destructive"),
        deviations=_deviations(config),
        reports=tuple(dict.fromkeys(_writable(config, path) for path in config.getoption("--mcp-report") or ())),
        repro=config.invocation_params.dir / folder if (folder := config.getoption("--mcp-repro")) else None,
        coverage=not (config.getoption("--mcp-no-coverage") or unavailable()),
        repeated=tuple(f"{name}={value}" for name in REPEATED if (value := config.getoption(name))),
    )


def _deviations(config: pytest.Config) -> Path | None:
    typed: str | None = config.getoption("--mcp-deviations")
    if typed:
        return config.invocation_params.dir / typed
    written: str = config.getini("mcp_deviations")
    return _of_the_ini(config) / written if written else None


def _of_the_ini(config: pytest.Config) -> Path:
    """Return the folder that paths in the ini file start from."""
    return config.inipath.parent if config.inipath else config.invocation_params.dir


def new_seed() -> int:
    """Return 0 under CI (where Hypothesis derandomizes too), else a new seed."""
    return 0 if os.environ.get("CI") else random.getrandbits(31)


def _seed(config: pytest.Config) -> int:
    """Return ``--hypothesis-seed``, else 0 under CI (where Hypothesis derandomizes too), else a new one.

    In a worker of xdist: the controller's.
    """
    worker: dict[str, int] = getattr(config, "workerinput", {})
    if SEED in worker:
        return worker[SEED]
    given = config.getoption("--hypothesis-seed", None)
    if given is None:
        return new_seed()
    if not str(given).isdecimal():
        raise pytest.UsageError(f"--hypothesis-seed must be a whole number from 0 on, not {given!r}")
    return int(given)


def _writable(config: pytest.Config, name: str) -> Path:
    path = config.invocation_params.dir / name
    if path.suffix not in RENDERERS:
        raise pytest.UsageError(f"--mcp-report {name}: the ending must be one of {', '.join(RENDERERS)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise pytest.UsageError(f"--mcp-report {name} can't be written: {error.strerror}: {error.filename}") from None
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise pytest.UsageError(f"--mcp-report {name} can't be written: it is a folder, or its folder is read-only")
    return path
