"""An empty chart for curves over time, in the style of all pictures of this project."""

from __future__ import annotations

from typing import Any


def line_chart(title: str, x_title: str, y_title: str, **options: Any) -> Any:
    """Return a `pygal.XY` without curves; needs the extra `load`.

    Args:
        title: of the picture.
        x_title: of the horizontal axis.
        y_title: of the vertical axis.
        **options: more options of pygal.
    """
    import pygal  # noqa: PLC0415 - an extra
    from pygal.style import CleanStyle  # noqa: PLC0415

    return pygal.XY(
        style=CleanStyle(title_font_size=18, label_font_size=12, legend_font_size=12),
        title=title,
        x_title=x_title,
        y_title=y_title,
        legend_at_bottom=True,
        width=900,
        height=480,
        js=(),
        no_prefix=True,
        **options,
    )
