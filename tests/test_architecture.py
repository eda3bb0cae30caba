"""The arrows of ARCHITECTURE.md, and the size of folders and modules."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("reference_backends", "pytest_mcp_storage")
LONGEST = 300
"""Lines of a module."""
LONGEST_OF_TESTS = 400
"""Lines of a module that tests, or breaks, a clause group."""
ENTRIES = {"reference_backends": 14, "pytest_mcp_storage": 20}
"""The most entries of a package's folder."""

MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
    if "examples" not in path.parts
}
NAME = re.compile(rf"({'|'.join(PACKAGES)})(\.\w+)+")

PROGRAMS = {("pytest_mcp_storage.commands.stack", "pytest_mcp_storage.cli")}
"""What a module starts in another process, and does not load itself."""

Edges = dict[str, set[str]]


def module_in(name: str) -> str | None:
    """Return the module that a dotted name begins with; ``None`` for a package as a whole."""
    parts = name.split(".")
    for end in range(len(parts), 1, -1):
        if (module := ".".join(parts[:end])) in MODULES:
            return module
    return None


def named_in(tree: ast.Module) -> Iterator[str]:
    """Yield the modules that a source names in its strings, except in docstrings and names of loggers."""
    spoken: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            spoken.add(id(node.value))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "getLogger":
            spoken |= {id(argument) for argument in node.args}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):  # f"pytest_mcp_storage.suite.{name}" may be any module of that package
            first, *rest = node.values
            if isinstance(first, ast.Constant) and rest and (found := NAME.match(str(first.value))):
                yield from (module for module in MODULES if module.startswith(f"{found[0]}."))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in spoken:
            for found in NAME.finditer(node.value):
                if module := module_in(found[0]):
                    yield module


@pytest.fixture(scope="module")
def by_name() -> Edges:
    """Return what each module loads by name: a command, a harness, a clause test, a program of ``python -m``."""
    edges: Edges = {}
    for module, path in MODULES.items():
        named = named_in(ast.parse(path.read_text(encoding="utf-8")))
        edges[module] = {each for each in named if each != module and (module, each) not in PROGRAMS}
    return edges


@pytest.fixture(scope="module")
def imports() -> Edges:
    """Return what each module imports, also in functions and for types only."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    return {module: set(graph.find_modules_directly_imported_by(module)) for module in MODULES}


def test_imports_go_down_the_layers_only() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_names_of_modules_go_down_the_layers_too(by_name: Edges) -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = [each for each in contracts if each["type"] == "layers" and each["containers"] == ["pytest_mcp_storage"]]
    rows = [row.split(" | ") for row in layers[0]["layers"]]
    level = {name: number for number, row in enumerate(rows) for name in row}
    upward = [
        (source, target)
        for source, targets in by_name.items()
        for target in targets
        if source.startswith("pytest_mcp_storage.") and target.startswith("pytest_mcp_storage.")
        for one, other in [(source.split(".")[1], target.split(".")[1])]
        if one != other and level[one] >= level[other]
    ]
    assert upward == []
    assert [(one, other) for one, others in by_name.items() if one.startswith("reference_backends") for other in others
            if other.startswith("pytest_mcp_storage")] == []  # fmt: skip


def test_the_names_that_are_looked_for_are_found(by_name: Edges) -> None:
    """A check that sees nothing holds always."""
    assert "pytest_mcp_storage.commands.zoo" in by_name["pytest_mcp_storage.cli"]
    assert "pytest_mcp_storage.harnesses.sqlite" in by_name["pytest_mcp_storage.session.backends"]
    assert "pytest_mcp_storage.zoo.mutants.expiry" in by_name["pytest_mcp_storage.zoo.registry"]


def test_no_modules_import_each_other_in_a_circle(imports: Edges, by_name: Edges) -> None:
    try:
        TopologicalSorter({module: imports[module] | by_name[module] for module in MODULES}).prepare()
    except CycleError as error:
        circle = error.args[1]
        ways = ["by name" if one in by_name[other] - imports[other] else "import" for one, other in pairwise(circle)]
        pytest.fail(" ← ".join(f"{module} ({way})" for module, way in zip(circle, [*ways, ""], strict=True)))


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_is_too_long(package: str) -> None:
    def limit(path: Path) -> int:
        return LONGEST_OF_TESTS if path.parent.name in ("suite", "mutants") or path.stem == "conforming" else LONGEST

    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in (ROOT / package).rglob("*.py")}
    assert {str(path): lines for path, lines in lengths.items() if lines > limit(path)} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_can_be_taken_in_at_a_glance(package: str) -> None:
    entries = [path.name for path in (ROOT / package).iterdir() if path.name != "__pycache__"]
    assert len(entries) <= ENTRIES[package], sorted(entries)


@pytest.mark.parametrize("folder", sorted({path.parent for path in MODULES.values()}), ids=lambda path: path.name)
def test_a_folder_is_described_by_its_docstring(folder: Path) -> None:
    about = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    here = [path.stem for path in folder.glob("*.py") if path.stem != "__init__"]
    here += [path.parent.name for path in folder.glob("*/__init__.py")]
    if folder.name not in (*PACKAGES, "suite", "mutants"):  # ARCHITECTURE.md, the contract and the registry have these
        assert [name for name in sorted(here) if f"``{name}``" not in about] == []


def test_every_folder_is_in_the_drawing() -> None:
    drawing = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    for package in PACKAGES:
        here = ROOT / package
        files = [path.name for path in here.glob("*.py") if path.name != "__init__.py"]
        folders = [f"{path.parent.name}/" for path in here.glob("*/__init__.py")]
        assert [name for name in (*files, *folders) if name not in drawing] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_folder_has_its_tests(package: str) -> None:
    tests = ROOT / "tests" / ("reference_backends" if package == "reference_backends" else "")
    folders = [path.parent.name for path in (ROOT / package).glob("*/__init__.py")]
    assert [name for name in folders if not list((tests / name).rglob("test_*.py"))] == []
