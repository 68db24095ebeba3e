"""A printable sheet of labels: each device's client id and its QR code; no secrets."""

import html
from collections.abc import Iterable

import segno

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
