"""Figures of the board's link beside those of its peer, measured side by side; `python -m bench` runs all of it."""
