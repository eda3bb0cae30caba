"""The environment variables that a stack's programs and connections get."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping

NEEDED = frozenset({
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "TZ", "TMPDIR", "TMP", "TEMP", "LANG", "LANGUAGE",
    "SSH_AUTH_SOCK",  # for DOCKER_HOST=ssh://…
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS",
    "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "VOLTA_HOME", "MISE_DATA_DIR",  # a program on the PATH may need them
    "SUPABASE_INTERNAL_IMAGE_REGISTRY",  # a mirror of the images
})  # fmt: skip
NEEDED_PREFIXES = ("LC_", "XDG_", "DOCKER_", "ASDF_", "NIX_LD")

_changing = threading.Lock()
_taken: dict[str, str] = {}
_ignoring = 0


def supabase_cli_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that Supabase's command line needs, and no others.

    The command line reads every setting of a project from ``SUPABASE_*`` variables too. A variable that was set for
    another project would make it start, use or delete that project: ``SUPABASE_PROJECT_ID`` decides which volumes
    ``supabase stop`` removes.
    """
    kept = {name: value for name, value in environ.items() if name in NEEDED or name.startswith(NEEDED_PREFIXES)}
    return {**kept, "DO_NOT_TRACK": "1"}


def libpq_variables(environ: Mapping[str, str]) -> list[str]:
    """Return the names of the variables that libpq reads, such as ``PGSERVICE``."""
    return sorted(name for name in environ if name.startswith("PG"))


def without_libpq(environ: Mapping[str, str]) -> dict[str, str]:
    """Return ``environ`` without the variables that libpq reads."""
    ignored = libpq_variables(environ)
    return {name: value for name, value in environ.items() if name not in ignored}


@contextlib.contextmanager
def libpq_variables_ignored() -> Iterator[None]:
    """Take libpq's variables out of the environment while the block connects to a server that this run started.

    A connection string can't do that: no setting in it turns ``PGSERVICE`` off.
    """
    global _ignoring
    with _changing:
        _taken.update({name: os.environ.pop(name) for name in libpq_variables(os.environ)})
        _ignoring += 1
    try:
        yield
    finally:
        with _changing:
            _ignoring -= 1
            if not _ignoring:  # the last of several connections that are made concurrently
                os.environ.update(_taken)
                _taken.clear()
