"""The picture of docs/upstream.md: a bar for each store, of the clauses that passed, failed and were not judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

LEFT, BAR, ROW, WIDTH = 96, 368, 44, 480
STYLE = """\
text { font: 15px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; fill: var(--ink) }
svg { --paper: #fff; --ink: #1c2128; --passed: #bfe8cb; --failed: #b01e16; --on-failed: #fff; --rest: #dfe3e8 }
@media (prefers-color-scheme: dark) {
  svg { --paper: #0d1117; --ink: #e6edf3; --passed: #1c4d2e; --failed: #ff8b82; --on-failed: #2d0401; --rest: #30363d }
}
.paper { fill: var(--paper) } .passed { fill: var(--passed) } .failed { fill: var(--failed) }
.rest { fill: var(--rest) }
text.on-failed { fill: var(--on-failed) } text.count { text-anchor: middle }"""
PARTS = ("passed", "failed", "rest")
NAMES = {"passed": "passed", "failed": "failed", "rest": "not judged"}


def bars(counts: Mapping[str, Sequence[int]], title: str) -> str:
    """Return the picture as SVG. ``counts``: passed, failed and the rest, by store."""
    height = ROW * (len(counts) + 1) + 20
    said = "; ".join(f"{store}: {', '.join(f'{n} {NAMES[part]}' for n, part in zip(row, PARTS, strict=True))}"
                     for store, row in counts.items())  # fmt: skip
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'role="img" aria-labelledby="t d">',
        f'<title id="t">{title}</title>',
        f'<desc id="d">{said}</desc>',
        f"<style>\n{STYLE}\n</style>",
        f'<rect class="paper" width="{WIDTH}" height="{height}" rx="8"/>',
    ]
    x = LEFT
    for part in PARTS:
        lines.append(f'<rect class="{part}" x="{x}" y="16" width="16" height="16"/>')
        lines.append(f'<text x="{x + 24}" y="29">{NAMES[part]}</text>')
        x += 110
    for number, (store, row) in enumerate(counts.items(), 1):
        y = ROW * number + 8
        lines.append(f'<text x="16" y="{y + 21}">{store}</text>')
        x = LEFT
        for part, count in zip(PARTS, row, strict=True):
            width = round(BAR * count / sum(row))
            lines.append(f'<rect class="{part}" x="{x}" y="{y}" width="{width}" height="30"/>')
            if count:
                lines.append(f'<text class="count on-{part}" x="{x + width / 2:g}" y="{y + 21}">{count}</text>')
            x += width
    return "\n".join([*lines, "</svg>"]) + "\n"
