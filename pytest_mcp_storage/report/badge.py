"""The verdict as a badge: one backend by its name; several as a count, in the colour of the worst."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from pytest_mcp_storage.report import labels
from pytest_mcp_storage.report.escaping import one_line
from pytest_mcp_storage.report.model import (
    CONFORMANT,
    NOT_CONFORMANT,
    NOT_MEASURED,
    WITH_DEVIATIONS,
    WORST_FIRST,
    BackendReport,
    Report,
)

COLOURS = {CONFORMANT: "#1f7a3d", WITH_DEVIATIONS: "#8a5a00", NOT_MEASURED: "#59636e", NOT_CONFORMANT: "#b01e16"}
"""White text on each of them has a contrast of 4.5 or more."""

LONGEST_NAME = 32
"""Characters of a backend's name that a badge shows; its title has the whole name."""
MOST_PARTS = 2
"""The number of parts that were not judged that a badge names; its title has all of them."""
MARGIN = 8
HEIGHT = 20

# Widths of characters at 11 pixels in DejaVu Sans; Verdana differs by less than a tenth. Badges use these fonts.
_WIDTHS = {
    "'IJijl": 3.0, " ,./:;\\|·": 3.5, "-f": 4.0, "!()[]rt": 4.5, "\"": 5.0, "*_`s": 5.5, "?Lcz": 6.0, "FPTYakovxy": 6.5,
    "BCRVXZ": 7.5, "ANU": 8.0, "&DGHOQ": 8.5, "#+<=>^w~": 9.0, "M": 9.5, "%m": 10.5, "@W…—": 11.0,
}  # fmt: skip
_ADVANCES = {character: width for characters, width in _WIDTHS.items() for character in characters}


def as_badge(report: Report) -> str:
    """Return an SVG of one line. Several backends share it: how many are conformant, in the colour of the worst."""
    label, message = _label(report), _message(report)
    colour = COLOURS[_worst(report)]
    details = "; ".join(f"{each.shown}: {_in_full(report, each)}" for each in report.backends)
    title = one_line(f"MCP storage conformance {report.revision}: {details or 'nothing was judged'}")
    left, right = width_of(label) + 2 * MARGIN, width_of(message) + 2 * MARGIN
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="{HEIGHT}" role="img" \
aria-label={quoteattr(title)}>
<title>{escape(title)}</title>
<rect width="{left + right}" height="{HEIGHT}" rx="3" fill="{colour}"/>
<path d="M3 0H{left}V{HEIGHT}H3A3 3 0 0 1 0 {HEIGHT - 3}V3A3 3 0 0 1 3 0Z" fill="#3a4048"/>
<g fill="#fff" font-family="Verdana,DejaVu Sans,Geneva,sans-serif" font-size="11">
{_text(label, MARGIN)}
{_text(message, left + MARGIN)}
</g>
</svg>
"""


def width_of(text: str) -> int:
    """Return the width of a text in pixels at the badge's size; it is drawn at exactly this width in any font."""
    return round(sum(_ADVANCES.get(each, 7.0 if ord(each) < 0x1100 else 12.0) for each in text))


def _label(report: Report) -> str:
    if len(report.backends) != 1:
        return "MCP storage"
    return f"MCP storage · {_short(report.backends[0].shown)}"


def _message(report: Report) -> str:
    if len(report.backends) == 1:
        backend = report.backends[0]
        words = _short(labels.verdict(backend).words)
        extent = labels.extent(backend, report.tier, most=MOST_PARTS)
        return f"{words} ({extent})" if extent else words
    good = sum(1 for each in report.backends if each.verdict in (CONFORMANT, WITH_DEVIATIONS))
    return f"{good} of {len(report.backends)} conformant"


def _in_full(report: Report, backend: BackendReport) -> str:
    extent = labels.extent(backend, report.tier)
    return f"{labels.verdict(backend).words} ({extent})" if extent else labels.verdict(backend).words


def _short(text: str) -> str:
    """Cut the middle: ``module:attribute`` names differ at the end, and ``stdio:`` is at the beginning."""
    shown = one_line(text)
    if len(shown) <= LONGEST_NAME:
        return shown
    end = LONGEST_NAME * 2 // 3
    return f"{shown[: LONGEST_NAME - 1 - end]}…{shown[-end:]}"


def _worst(report: Report) -> str:
    found = {each.verdict for each in report.backends}
    return next((verdict for verdict in WORST_FIRST if verdict in found), NOT_MEASURED)


def _text(text: str, x: int) -> str:
    return f'<text x="{x}" y="14" textLength="{width_of(text)}" lengthAdjust="spacingAndGlyphs">{escape(text)}</text>'
