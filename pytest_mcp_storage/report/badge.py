"""The verdict as a badge: one backend by its name, several in one word, worst colour first."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from pytest_mcp_storage.report import signs
from pytest_mcp_storage.report.model import CONFORMANT, NOT_CONFORMANT, NOT_MEASURED, WITH_DEVIATIONS, Report
from pytest_mcp_storage.report.visible import one_line

COLOURS = {CONFORMANT: "#1f7a3d", WITH_DEVIATIONS: "#8a5a00", NOT_MEASURED: "#59636e", NOT_CONFORMANT: "#b01e16"}
"""White text reads on each of them with a contrast of 4.5 or more."""
WORST_FIRST = (NOT_CONFORMANT, NOT_MEASURED, WITH_DEVIATIONS, CONFORMANT)

LONGEST_NAME = 32
"""Characters of a backend's name that a badge shows; the whole name is in its title."""
MARGIN = 8
HEIGHT = 20

# Advances of Verdana's and DejaVu Sans' characters at 11 pixels, rounded up: the fonts that badges are drawn in.
_WIDTHS = {"'|ijlI.,:;! ": 4.5, "frt()[]/\\-": 5.2, '"*Jcksvxyz': 6.3, "ABCDGHKNOQRUVXZ&=+<>~^#": 8.3, "mwMW@%—": 10.8}
_ADVANCES = {character: width for characters, width in _WIDTHS.items() for character in characters}


def as_badge(report: Report) -> str:
    """An SVG of one line. Several backends share it: how many are conformant, in the colour of the worst."""
    label, message = one_line(_label(report)), _message(report)
    colour = COLOURS[_worst(report)]
    told = one_line("; ".join(f"{each.name}: {signs.verdict(each).words}" for each in report.backends))
    title = f"MCP storage conformance {report.revision}: {told or 'nothing was judged'}"
    left, right = width_of(label) + 2 * MARGIN, width_of(message) + 2 * MARGIN
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="{HEIGHT}" role="img" \
aria-label={quoteattr(title)}>
<title>{escape(title)}</title>
<clipPath id="r"><rect width="{left + right}" height="{HEIGHT}" rx="3"/></clipPath>
<g clip-path="url(#r)"><rect width="{left}" height="{HEIGHT}" fill="#3a4048"/>\
<rect x="{left}" width="{right}" height="{HEIGHT}" fill="{colour}"/></g>
<g fill="#fff" font-family="Verdana,DejaVu Sans,Geneva,sans-serif" font-size="11">
{_text(label, MARGIN)}
{_text(message, left + MARGIN)}
</g>
</svg>
"""


def width_of(text: str) -> int:
    """Pixels that a text takes at the badge's size, a little more rather than less."""
    return round(sum(_ADVANCES.get(each, 7.2 if ord(each) < 0x1100 else 11.5) for each in text))


def _label(report: Report) -> str:
    if len(report.backends) != 1:
        return "MCP storage"
    name = report.backends[0].name
    return f"MCP storage · {name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + '…'}"


def _message(report: Report) -> str:
    if len(report.backends) == 1:
        return one_line(signs.verdict(report.backends[0]).words)
    good = sum(1 for each in report.backends if each.verdict in (CONFORMANT, WITH_DEVIATIONS))
    return f"{good} of {len(report.backends)} conformant"


def _worst(report: Report) -> str:
    found = {each.verdict for each in report.backends}
    return next((verdict for verdict in WORST_FIRST if verdict in found), NOT_MEASURED)


def _text(text: str, x: int) -> str:
    return f'<text x="{x}" y="14" textLength="{width_of(text)}" lengthAdjust="spacingAndGlyphs">{escape(text)}</text>'
