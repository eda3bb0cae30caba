"""Run ``make test``, or the commands given, on bare machines: ``make fresh``.

A machine is a folder of Debian's ``debootstrap`` with python3, python3-venv, make, nodejs and npm, and a clean clone in
a folder with blanks in its name. The commands run in it as root or as an ordinary user, with separate
namespaces for mounts and processes: when they end, the kernel ends what they left running, and drops the mounts.

How this machine reaches its registries (mirror, certificates, proxies, settings of pip and npm) is read from its own
configuration at each run.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import step

ROOT = Path(__file__).resolve().parent.parent
LOGS = ROOT / "build" / "fresh"
MACHINES = ("bookworm-root", "bookworm-user", "trixie-root", "trixie-user")
PACKAGES = ("python3", "python3-venv", "make", "nodejs", "npm", "ca-certificates")
MOUNTS = Path("/proc/self/mountinfo")
CODE = "srv/a path with blanks/clone"
HOMES = {"bookworm-user": None, "trixie-user": "/home/tester"}
"""The ordinary users' homes: one has none, and the other may only read it."""
POOR = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C", "PYTHONDONTWRITEBYTECODE": "1"}
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
CARRIED = re.compile(
    r"(https?|no|all)_proxy|PIP_(INDEX_URL|CERT)|NODE_EXTRA_CA_CERTS|SSL_CERT_FILE|REQUESTS_CA_BUNDLE", re.IGNORECASE
)
"""The variables that say how to reach the registries."""
PIP = ("index-url", "extra-index-url", "trusted-host", "proxy", "cert", "default-timeout")
NPM = ("registry", "proxy", "https-proxy", "noproxy", "cafile")
START = (
    'mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && mount -t tmpfs tmpfs "$0/dev/shm" && '
    'chroot "$@"; exit $?'
)
"""Process 1 of the machine. It stays root's, since a process that becomes another user's loses ``--kill-child``."""


def main() -> int:
    """Try each machine, print how each ended, and return 1 if the commands failed on one."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--machine", action="append", choices=MACHINES, help="Default: all four, one after another.")
    parser.add_argument("commands", nargs="*", default=["make test"], help="Default: make test.")
    asked = parser.parse_args()
    if lacks := missing():
        print(f"make fresh needs {'; '.join(lacks)}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # so that the folders are removed
    LOGS.mkdir(parents=True, exist_ok=True)
    chosen = asked.machine or MACHINES
    ends = []
    for release in dict.fromkeys(name.partition("-")[0] for name in chosen):
        with folder(release) as base:
            make_base(base, release)
            for name in (each for each in chosen if each.startswith(release)):
                with folder(name) as machine:
                    print(f"\n== {name}", flush=True)
                    make_machine(base, machine, name)
                    ends.append((name, *try_machine(machine, name, " ".join(asked.commands))))
    for name, code, seconds in ends:
        lines = (LOGS / f"{name}.log").read_text(encoding="utf-8").splitlines()
        print(f"\n== {name}: exit code {code} after {seconds:.0f} s. Its last lines:", *lines[-15:], sep="\n")
    return int(any(code for _, code, _ in ends))


def missing() -> list[str]:
    """Return what this machine lacks."""
    lacks = [] if os.geteuid() == 0 else ["root, for chroot and mounts"]
    packages = {"debootstrap": "debootstrap", "unshare": "util-linux", "git": "git"}
    lacks += [f"{program} (apt-get install {packages[program]})" for program in packages if not shutil.which(program)]
    return lacks if mirror() else [*lacks, "a mirror of Debian, in apt's sources or as DEBIAN_MIRROR"]


def mirror() -> str:
    """Return the address of the mirror of Debian that apt knows; empty if it knows none."""
    targets = printed("apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)", "Identifier: Packages")
    return os.environ.get("DEBIAN_MIRROR") or "".join(re.findall(r"^Debian (\S+)", targets, re.M)[:1])


def printed(*command: str) -> str:
    """Return what a command prints; nothing if this machine lacks it."""
    if shutil.which(command[0]) is None:
        return ""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def pip_settings(listed: str) -> str:
    """Return a pip.conf with what ``pip config list`` shows of the way to the registry; no folder of this machine."""
    found = re.findall(r"^(?:global|:env:)\.([a-z-]+)='(.*)'$", listed, re.M)
    used = {key: value for key, value in found if key in PIP and "file:" not in value}
    return "".join(["[global]\n", *(f"{key} = {value}\n" for key, value in used.items())])


def npm_settings(values: dict[str, str]) -> str:
    """Return an npmrc with the values that are set."""
    return "".join(f"{key}={value}\n" for key, value in values.items() if value not in ("", "null", "undefined"))


def environment(name: str, environ: dict[str, str]) -> dict[str, str]:
    """Return the environment of a machine's commands: a poor one, and this machine's way to the registries."""
    carried = {key: value for key, value in environ.items() if CARRIED.fullmatch(key)}
    home = HOMES.get(name, "/root")
    return {**carried, **POOR, **({"HOME": home} if home else {})}


def in_machine(machine: Path, user: str, *command: str) -> list[str]:
    """Return what runs a command in the machine, as that user."""
    namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
    return [*namespaces, "sh", "-c", START, str(machine), f"--userspec={user}:{user}", str(machine), *command]


@contextmanager
def folder(name: str) -> Iterator[Path]:
    """Make a folder for a machine, and remove it at the end, unless something is mounted in it."""
    made = Path(tempfile.mkdtemp(prefix=f"fresh-{name}-")).resolve()
    made.chmod(0o755)
    try:
        yield made
    finally:
        if f" {made}/" in MOUNTS.read_text(encoding="utf-8"):
            print(f"fresh: {made} stays, since something is mounted in it: see findmnt", flush=True)
        else:
            shutil.rmtree(made)


def do(name: str, *command: str) -> None:
    """Run a step of ours, and exit with its output if it fails."""
    start = time.monotonic()
    if (done := step.run(f"fresh: {name}", *command)).returncode:
        sys.exit(f"{done.stdout}\nfailed: {name}")
    print(f"  done after {time.monotonic() - start:.0f} s", flush=True)


def make_base(base: Path, release: str) -> None:
    """Make a machine of a release with the packages and this machine's way to the registries."""
    variant = ("--variant=minbase", "--include=ca-certificates")
    do(f"making {release} with debootstrap", "debootstrap", *variant, release, str(base), mirror())
    apt = printed("apt-config", "dump")
    ways = "".join(f"{line}\n" for line in apt.splitlines() if re.match(r"Acquire::(https?::|Retries)", line))
    (base / "etc/apt/apt.conf.d/99way").write_text(ways, encoding="utf-8")
    (base / "etc/pip.conf").write_text(pip_settings(printed("pip", "config", "list")), encoding="utf-8")
    settings = {key: printed("npm", "config", "get", key).strip() for key in NPM}
    (base / "etc/npmrc").write_text(npm_settings(settings), encoding="utf-8")
    # As in images of containers: no service starts when its package is installed, and dpkg does not wait for the disk.
    (base / "etc/dpkg/dpkg.cfg.d/unsafe-io").write_text("force-unsafe-io\n", encoding="utf-8")
    (base / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
    (base / "usr/sbin/policy-rc.d").chmod(0o755)
    for name in (CERTIFICATES, "/etc/hosts", "/etc/resolv.conf"):
        if Path(name).is_file():
            shutil.copyfile(name, base / name[1:])
    install = "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends"
    do(f"installing {', '.join(PACKAGES)}", *in_machine(base, "root", "sh", "-c", f"{install} {' '.join(PACKAGES)}"))


def make_machine(base: Path, machine: Path, name: str) -> None:
    """Copy the base, with a clone of the repository and, for an ordinary user, the user."""
    code = machine / CODE
    do("copying the machine", "cp", "--archive", f"{base}/.", str(machine))
    do("cloning the repository", "git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(code))
    if name.endswith("user"):
        make = f'useradd tester && chown -R tester: "/{CODE}"{" && mkdir /home/tester" if HOMES[name] else ""}'
        do(f"making a user whose home is {HOMES[name]}", *in_machine(machine, "root", "sh", "-c", make))


def try_machine(machine: Path, name: str, commands: str) -> tuple[int, float]:
    """Run the commands in the machine; return their exit code and the seconds that they took."""
    print(f"fresh: running {commands}", flush=True)
    user = "root" if name.endswith("root") else "tester"
    variables = [f"{key}={value}" for key, value in environment(name, dict(os.environ)).items()]
    inside = ("env", "-i", *variables, "sh", "-c", f'cd "/{CODE}" && {commands}')
    start = time.monotonic()
    with (
        (LOGS / f"{name}.log").open("w", encoding="utf-8") as log,
        subprocess.Popen(
            in_machine(machine, user, *inside),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process,
    ):
        try:
            for line in process.stdout or ():
                print(line, end="", flush=True)
                print(line, end="", file=log, flush=True)
        except BaseException:
            process.kill()
            raise
    return process.returncode, time.monotonic() - start


if __name__ == "__main__":
    sys.exit(main())
