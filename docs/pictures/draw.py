"""Draw the pictures of the documentation from real runs: ``python docs/pictures/draw.py``.

Terminal pictures are SVG, the page's are PNG and need Chromium. Runs take place in a separate folder.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

HERE = Path(__file__).parent
WIDTH = 100
QUIET = ("randomly", "asyncio", "anyio", "xdist", "cacheprovider")
"""Plugins that the project's own tests use; a picture shows what a new user sees."""
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
ABOUT_THIS_MACHINE = ("platform ", "rootdir: ", "plugins: ", "cachedir: ")
THEME = TerminalTheme(
    (22, 27, 34),
    (217, 223, 230),
    [(72, 79, 88), (255, 123, 114), (86, 211, 100), (227, 179, 65), (121, 192, 255), (210, 168, 255), (86, 212, 221),
     (217, 223, 230)],
    [(139, 148, 158), (255, 161, 152), (126, 231, 135), (242, 204, 96), (165, 214, 255), (226, 197, 255),
     (179, 240, 255), (255, 255, 255)],
)  # fmt: skip
FRAME = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">
<title>TITLE</title>
<style>
.{unique_id}-matrix {{
  font: {char_height}px/{line_height}px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace
}}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal"><rect width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
"""Rich's own frame, less the font that it would load from elsewhere."""


def main() -> None:
    """Run, and draw what was seen."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(HERE / "hurried_store.py", folder)
        hurried = "--mcp-backend=hurried_store:Harness"
        draw(["pytest", hurried], judge(folder, hurried), HERE / "failing.svg", "A failing run in the terminal")
        draw(
            ["pytest", "--mcp-backend=sqlite"],
            judge(folder, "--mcp-backend=sqlite"),
            HERE / "passing.svg",
            "A passing run in the terminal",
        )
        stores = [f"--mcp-backend={name}" for name in ("memory", "file", "sqlite")]
        judge(folder, *stores, hurried, "--mcp-tier=smoke", "--mcp-report=report.html")
        photograph(Path(folder, "report.html"))


def judge(folder: str, *options: str) -> str:
    """Return what pytest prints, with colours. The seed is fixed, so the pictures change only with the suite."""
    words = ["--hypothesis-seed=1", "--color=yes", *(f"-pno:{name}" for name in QUIET)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *words],
        cwd=folder,
        env={**os.environ, "COLUMNS": str(WIDTH - 2)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 1) or ": NOT MEASURED (" in done.stdout:
        raise SystemExit(done.stdout + done.stderr)
    return done.stdout


def draw(command: list[str], output: str, target: Path, title: str) -> None:
    """Return a picture of the command and of what it printed."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, legacy_windows=False)
    console.print(Text.assemble(("$ ", "bold green"), (" ".join(command), "bold")))
    for line in shortened(output.splitlines()):
        console.print(Text.from_ansi(line), soft_wrap=False, overflow="fold", highlight=False)
    frame = FRAME.replace("TITLE", title)
    svg = console.export_svg(title="", theme=THEME, code_format=frame, unique_id=target.stem)
    target.write_text(re.sub(r"[ \t]+\n", "\n", svg), encoding="utf-8")


def shortened(lines: list[str]) -> Iterator[str]:
    """Yield the lines of a run without those about this machine; of its failures only the first, with a mark."""
    section, failures, hidden = "", 0, False
    for line in lines:
        bare = re.sub(r"\x1b\[[0-9;]*m", "", line)
        if heading := re.fullmatch(r"=+ (.*) =+", bare):
            section = heading[1]
        failures += section == "FAILURES" and re.fullmatch(r"_+ .* _+", bare) is not None
        before, hidden = hidden, section == "short test summary info" or (section == "FAILURES" and failures > 1)
        if hidden and not before:
            yield "\x1b[2m⋮\x1b[0m"
        if not hidden and not bare.startswith(ABOUT_THIS_MACHINE):
            yield re.sub(r" in [0-9.]+s( \([0-9:]+\))?", "", line) if heading else line


def photograph(page: Path) -> None:
    """Return the report's page: with a cell open, in greyscale, and on a phone."""
    program = shutil.which("chromium") or "/usr/bin/chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)

        def opened(width: int, height: int, at: str = "", *, phone: bool = False) -> Page:
            context = browser.new_context(
                viewport={"width": width, "height": height}, is_mobile=phone, has_touch=phone, reduced_motion="reduce"
            )
            shown = context.new_page()
            shown.goto(page.as_uri() + at)
            return shown

        cell = "#EX-2@hurried_store%3AHarness"
        opened(1200, 800, cell).screenshot(path=HERE / "page-open.png")
        grey = opened(1000, 720, "#clauses")
        grey.locator("#only").check()
        grey.evaluate("document.documentElement.style.filter = 'grayscale(1)'")
        grey.screenshot(path=HERE / "page-greyscale.png")
        opened(390, 780, "#clauses", phone=True).screenshot(path=HERE / "page-phone.png")
        opened(390, 780, cell, phone=True).screenshot(path=HERE / "page-phone-open.png")
        browser.close()


if __name__ == "__main__":
    main()
