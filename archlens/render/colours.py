"""The colours of all pictures: told apart without red and green, in grey, on white and on black.

Fills grow darker with their value (ColorBrewer's YlGnBu), dark text stays readable on each. Lines and text
outside of filled boxes take the ink of the page, so that one SVG serves light and dark pages.
"""

from __future__ import annotations

STEPS = ("#ffffe0", "#d9f0b8", "#a3dbb7", "#6cc5bf", "#4aaed0", "#6f9fd8")
"""Light to dark; the text on them is TEXT."""

NONE = "#e6e6e6"
TEXT = "#14171a"
SOFT = "#3d444b"
"""Second lines on a fill."""

INK = "#5b6570"
"""Lines and text on the page, in files that cannot follow it; `currentColor` in an SVG."""

PAPER = "#ffffff"
CONTEXT = "#d55e00"
SKIP = "#9b4f96"

SERIES = ("#0072b2", "#d55e00", "#009e73", "#aa4499", "#b8860b", "#4d7fd0", "#7f7f7f", "#88572c")
"""Okabe and Ito's and Tol's colours, in the lightness that shows on white and on black; line styles and
markers differ with them."""

COLOUR_BY = ("stride", "rf", "erf", "macs", "params", "memory")
"""What the boxes of the graph can be coloured by."""
