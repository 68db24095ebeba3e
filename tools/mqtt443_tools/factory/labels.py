"""A printable sheet of labels: each device's client id and its QR code; no secrets."""

import html
from collections.abc import Iterable

import segno

FITTING_CHARS = 14
"""Characters of a client id that fit on a label in their natural width."""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>mqtt443 labels</title>
<style>
body {{ font: 9pt sans-serif; margin: 8mm; display: grid; grid-template-columns: repeat(4, 45mm); gap: 4mm; }}
figure {{ margin: 0; padding: 2mm; border: 0.2mm solid #999; text-align: center; break-inside: avoid; }}
svg {{ width: 28mm; height: 28mm; }}
figcaption {{ overflow-wrap: anywhere; }}
</style>
{labels}
</html>
"""


def sheet(client_ids: Iterable[str]) -> str:
    """Return an HTML page with a label for each client id; its QR code holds the client id."""
    labels = (
        f"<figure>{segno.make_qr(client_id).svg_inline(omitsize=True)}"
        f"<figcaption>{html.escape(client_id)}</figcaption></figure>"
        for client_id in client_ids
    )
    return _PAGE.format(labels="\n".join(labels))


def label(client_id: str, mac: str) -> str:
    """Return one label as SVG, 45 by 25 mm: the client id with its QR code, and the board's MAC address."""
    code = segno.make_qr(client_id).svg_inline(omitsize=True)
    placed = code.replace("<svg", '<svg x="1" y="1" width="18" height="18"', 1)
    squeezed = ' textLength="23" lengthAdjust="spacingAndGlyphs"' if len(client_id) > FITTING_CHARS else ""
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="45mm" height="25mm" viewBox="0 0 45 25">'
        f'{placed}<g font-family="sans-serif" font-size="3">'
        f'<text x="21" y="9"{squeezed}>{html.escape(client_id)}</text>'
        f'<text x="21" y="15" font-size="2.4">{html.escape(mac)}</text></g></svg>\n'
    )
