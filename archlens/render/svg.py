"""Finishing touches on SVG text: prefixed ids, the ink of the page, no traces of the program that drew it."""

from __future__ import annotations

import re
from html import escape

from archlens.render.colours import INK

_IDS = re.compile(r'\bid="([^"]*)"')
_REFERENCES = re.compile(r'(\bxlink:href="#|\bhref="#|url\(#)([^")]*)')
_COMMENT = re.compile(r"<!--.*?-->\s*", re.DOTALL)
_PROLOGUE = re.compile(r"<\?xml.*?\?>\s*|<!DOCTYPE.*?>\s*", re.DOTALL)

THEME = (
    "svg{color:#3d444b;background:#fff}"
    "@media (prefers-color-scheme:dark){svg{color:#c6ccd2;background:#15181b}}"
)
"""For a file of its own; in a page the page decides."""


def finish(text: str, label: str, prefix: str = "") -> str:
    """An SVG file with light and dark colours; with a prefix an element for a page, whose colours it takes.

    Args:
        text: What the drawing program wrote.
        label: What the picture is, for those who cannot see it.
        prefix: Put before every id, so that two figures can stand in one page.
    """
    text = _COMMENT.sub("", text)
    text = _PROLOGUE.sub("", text)
    text = text.replace(f'"{INK}"', '"currentColor"').replace(f": {INK}", ": currentColor")
    if prefix:
        own = set(_IDS.findall(text))
        text = _IDS.sub(lambda m: f'id="{prefix}{m[1]}"', text)
        text = _REFERENCES.sub(lambda m: f"{m[1]}{prefix}{m[2]}" if m[2] in own else m[0], text)
    text = text.replace("<svg ", f'<svg role="img" aria-label="{escape(label)}" ', 1).strip() + "\n"
    if prefix:
        return text
    text = re.sub(r"(<svg[^>]*>)", lambda m: f"{m[1]}<style>{THEME}</style>", text, count=1)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + text
