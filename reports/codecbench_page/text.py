"""Text from manifests, plugins and errors as a browser may show it."""

from __future__ import annotations

import html
import re

from markupsafe import Markup


def visible(text: str) -> str:
    """Show control characters by their pictures and lone surrogates as replacement characters.

    Line ends and tabs stay; letters of any script and direction stay (the page isolates them with ``bdi``).
    """
    return "".join(_picture(c) for c in text)


def _picture(c: str) -> str:
    code = ord(c)
    if code < 0x20 and c not in "\n\t":
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\N{SYMBOL FOR DELETE}"
    return "\N{REPLACEMENT CHARACTER}" if 0xD800 <= code < 0xE000 or 0x80 <= code < 0xA0 else c


def breakable(text: str) -> Markup:
    """Let a browser break a name behind the signs that part it, rather than within a word."""
    return Markup("").join(Markup("{}<wbr>").format(part) for part in re.split(r"(?<=[:/@_])", visible(text)))


def shortened(text: str, limit: int) -> str:
    """Cut in the middle, where names differ least."""
    if len(text) <= limit:
        return text
    keep = limit - 1
    return text[: keep - keep // 2] + "…" + text[len(text) - keep // 2 :]


def chart_text(text: str, limit: int = 60) -> str:
    """Return one short line for Plotly, which reads tags and entities in its texts and cannot isolate directions."""
    plain = "".join(" " if c in "\n\t" or _turns(c) else c for c in visible(text))
    return html.escape(shortened(" ".join(plain.split()), limit), quote=False)


def _turns(c: str) -> bool:
    """Whether ``c`` changes the direction of what follows it."""
    return c in "\u061c\u200e\u200f" or "\u202a" <= c <= "\u202e" or "\u2066" <= c <= "\u2069"
