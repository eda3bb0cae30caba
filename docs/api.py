"""Build the API reference from the docstrings: ``python docs/api.py FOLDER``. A name that leads nowhere fails it."""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from inspect import Signature
from pathlib import Path
from typing import Annotated, get_args, get_origin

import pdoc
from pydantic import BaseModel

PACKAGES = ("reference_backends", "pytest_mcp_storage")
"""Documented by their public names."""

MODULES = tuple(f"reference_backends.{each}" for each in ("core.base", "core.protocol", "mcp", "migration"))
"""Documented whole: what the public names refer to, and what is public by its own name."""


def build(folder: Path) -> None:
    """Write a page a module into ``folder``. Raises pdoc's first warning, such as a public name that is not there."""
    for name in (*PACKAGES, *MODULES):
        package = import_module(name)
        for public in getattr(package, "__all__", ()):
            value = getattr(package, public)
            setattr(package, public, value)  # a name is loaded when it is used, and pdoc sees what is loaded
            if isinstance(value, type) and issubclass(value, BaseModel):
                _simplify(value)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        pdoc.pdoc(*PACKAGES, *MODULES, output_directory=folder)


def _simplify(model: type[BaseModel]) -> None:
    """Show text as ``str``, not as ``Annotated[str, <validator at 0x…>]``, and no default where there is none."""
    module = import_module(model.__module__)
    for name, value in list(vars(module).items()):
        if get_origin(value) is Annotated:
            setattr(module, name, get_args(value)[0])
    for field in model.model_fields.values():
        if field.is_required():
            field.default = Signature.empty


if __name__ == "__main__":
    build(Path(sys.argv[1]))
