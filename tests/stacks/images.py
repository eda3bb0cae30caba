"""An engine and images for the tests of containers, made from this machine's programs, without a registry."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import docker

from pytest_mcp_storage.stacks.supabase import binaries
from tests.parts import missing

POSTGRES = "pytest-mcp-storage-test/postgres:latest"
POSTGREST = "pytest-mcp-storage-test/postgrest:latest"

# As in the official image: a superuser postgres with POSTGRES_PASSWORD, on port 5432, never root.
ENTRY = """#!/bin/sh
set -e
mkdir -p /data /var/run/postgresql
chown 65534:65534 /data /var/run/postgresql
echo "$POSTGRES_PASSWORD" > /password
run="setpriv --reuid 65534 --regid 65534 --clear-groups {programs}"
$run/initdb -D /data -U postgres -E UTF8 --locale=C.UTF-8 --no-sync -A scram-sha-256 --pwfile /password
echo "host all all all scram-sha-256" >> /data/pg_hba.conf
exec $run/postgres -D /data -c listen_addresses='*' -c fsync=off
"""
SHELL = ("/bin/sh", "/bin/mkdir", "/bin/chown", "/usr/bin/setpriv")


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Let one process at a time use an engine and the images: they can't be shared."""
    with (Path(tempfile.gettempdir()) / "pytest-mcp-storage-docker.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def engine(folder: Path) -> Iterator[str]:
    """Yield ``DOCKER_HOST`` of an engine that answers: the one that runs, else one that is started in ``folder``.

    If there is none, the test is skipped as one that lacks a part.
    """
    if _answers(os.environ.get("DOCKER_HOST")):
        yield os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
        return
    if (dockerd := shutil.which("dockerd")) is None or os.geteuid() != 0:
        missing("container", "no Docker engine", "make test, as root on Debian or Ubuntu; or set DOCKER_HOST")
    host = f"unix://{folder}/docker.sock"
    flags = ["--host", host, *(f"--{name}={folder}/{name}" for name in ("data-root", "exec-root", "pidfile"))]
    with (folder / "log").open("w") as log, subprocess.Popen([dockerd, *flags], stdout=log, stderr=log) as process:
        try:
            limit = time.monotonic() + 60
            while not _answers(host):
                if process.poll() is not None:
                    print((folder / "log").read_text()[-2000:])
                    missing("container", "the Docker engine can't start here", "set DOCKER_HOST to one that runs")
                assert time.monotonic() < limit, "dockerd does not answer"
                time.sleep(0.1)
            yield host
        finally:
            process.terminate()
    shutil.rmtree(folder)


def build(host: str) -> None:
    """Make the two images."""
    programs = binaries.postgres_programs()
    share = Path("/usr/share/postgresql") / programs.parent.name
    paths = [*map(Path, SHELL), programs.parent, share, Path("/usr/lib/locale/C.utf8"), Path("/usr/share/zoneinfo")]
    needed = [programs / "postgres", programs / "initdb", *map(Path, SHELL)]
    entry = ENTRY.format(programs=programs).encode()
    _load(host, POSTGRES, "/entry.sh", [*paths, Path("/etc/passwd"), *_libraries(needed)], {"/entry.sh": entry})
    _load(host, POSTGREST, "/postgrest", [], {"/postgrest": binaries.postgrest_program(print).read_bytes()})


def remove(host: str) -> None:
    """Remove them again."""
    _docker(host, "image", "rm", "--force", POSTGRES, POSTGREST)


def containers() -> list[str]:
    """Return the ids of the engine's containers, the stopped ones too."""
    client = docker.from_env()
    try:
        # sparse: no second look at each, which may be gone by then
        return [str(container.id) for container in client.containers.list(all=True, sparse=True)]
    finally:
        client.close()


def _load(host: str, name: str, command: str, paths: list[Path], files: dict[str, bytes]) -> None:
    change = ["--change", f'CMD ["{command}"]', "--change", "ENV PATH=/usr/bin:/bin"]
    image = subprocess.Popen(
        ["docker", "import", *change, "-", name],
        env={**os.environ, "DOCKER_HOST": host},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    with image:
        with tarfile.open(fileobj=image.stdin, mode="w|", dereference=True) as tar:
            for path in paths:
                tar.add(path)
                tar.inodes = {}  # no hard links: each name of a library is a file
            for path, content in files.items():
                info = tarfile.TarInfo(path)
                info.size, info.mode = len(content), 0o755
                tar.addfile(info, io.BytesIO(content))
        assert image.stdin is not None
        image.stdin.close()
    assert image.returncode == 0


def _libraries(programs: list[Path]) -> set[Path]:
    """Return the shared libraries of ``programs``, with the loader."""
    printed = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=True).stdout
    words = (word for line in printed.splitlines() if line.startswith("\t") for word in line.split())
    return {Path(word) for word in words if word.startswith("/")}


def _answers(host: str | None) -> bool:
    return shutil.which("docker") is not None and _docker(host, "version") == 0


def _docker(host: str | None, *arguments: str) -> int:
    environment = {**os.environ, **({"DOCKER_HOST": host} if host else {})}
    return subprocess.run(["docker", *arguments], env=environment, capture_output=True, check=False).returncode
