"""Styles of text, and how wide a text gets."""

from __future__ import annotations

from dataclasses import dataclass

# Widths of letters in DejaVu Sans, the widest of the usual fonts, in hundredths of the size: what
# fits in it fits in all.
_WIDTHS = {
    letter: width
    for letters, width in (
        ("'ijl", 28), (" ,.·IJ", 32), ("/:;\\|", 34), ("f-", 37), ("()[]!tr", 42), ('"*_`', 50),
        ("sz?", 54), ("cLFkvxyPTY", 62), ("aeohnubdgpqES$0123456789{}", 65), ("KAVXZBRC", 70),
        ("UNHDG", 78), ("&OQ", 80), ("w#+<=>^~→", 84), ("M", 87), ("m%W@—", 101),
    )
    for letter in letters
}  # fmt: skip
_BOLD = 1.14

INK, MUTED, RULE = "#0f172a", "#556274", "#e2e8f0"
PAPER, CARD, FRAME = "#f8fafc", "#ffffff", "#cbd5e1"
REQUEST, REQUEST_INK, REQUEST_FILL = "#ea580c", "#9a3412", "#fff3e8"
# A stack's hue: its heading, and the lines that carry its outputs.
HUES = ("#2563eb", "#7c3aed", "#0f766e", "#be185d", "#4d7c0f", "#0369a1", "#a16207", "#6d28d9")


@dataclass(frozen=True)
class Style:
    """How a text is set."""

    size: float
    bold: bool = False
    colour: str = INK


STYLES = {
    "title": Style(24, bold=True),
    "subtitle": Style(13.5, colour=MUTED),
    "frame": Style(13, bold=True, colour=MUTED),
    "legend": Style(13, colour=MUTED),
    "name": Style(17, bold=True),
    "file": Style(12, colour=MUTED),
    "group": Style(12, bold=True, colour=MUTED),
    "row": Style(13.5),
    "count": Style(13.5),
    "note": Style(11.5, colour=MUTED),
    "hop": Style(13.5, bold=True, colour=REQUEST_INK),
    "hop-note": Style(11.5, colour=REQUEST_INK),
    "badge": Style(12, bold=True, colour=CARD),
    "source": Style(12.5, bold=True),
    "internet": Style(14, bold=True, colour=REQUEST_INK),
}


def text_width(text: str, style: str) -> float:
    """How wide a text gets at most, in pixels."""
    look = STYLES[style]
    hundredths = sum(_WIDTHS.get(letter, 101) for letter in text)
    return hundredths / 100 * look.size * (_BOLD if look.bold else 1)


def wrap(text: str, style: str, width: float) -> list[str]:
    """Break a text at spaces into lines of at most ``width`` pixels."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, style) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
