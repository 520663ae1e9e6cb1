"""Text from manifests, plugins and errors made safe for each format."""

from __future__ import annotations

import unicodedata

_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_", "%": r"\%",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "'": r"\textquotesingle{}", "`": r"\textasciigrave{}",
    "↑": r"$\uparrow$", "↓": r"$\downarrow$", "†": r"$^{\dagger}$", "‡": r"$^{\ddagger}$", "±": r"$\pm$",
    "\N{MULTIPLICATION SIGN}": r"$\times$", "\N{EN DASH}": "--", "…": r"\ldots{}", "·": r"$\cdot$",
    "\N{ZERO WIDTH SPACE}": "{}", "\N{RIGHT SINGLE QUOTATION MARK}": "'",
}  # fmt: skip
_MARKDOWN = set("\\`*_[]|~#")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def clean(text: str, limit: int = 300) -> str:
    """Make one line of visible characters: control and direction-changing ones become spaces, the rest is cut."""
    visible = "".join(" " if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") else c for c in text)
    line = " ".join(visible.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def latex(text: str) -> str:
    """Escape for LaTeX; letters beyond Latin-1, which pdfTeX cannot set, are written as their code points."""
    plain = clean(text).replace("--", "-\N{ZERO WIDTH SPACE}-")  # no ligature into a dash
    return "".join(_LATEX.get(c) or (c if ord(c) < 0x100 else rf"\texttt{{U+{ord(c):04X}}}") for c in plain)


def markdown(text: str) -> str:
    """Escape for a cell of a Markdown table, inline HTML included."""
    escaped = "".join("\\" + c if c in _MARKDOWN else c for c in clean(text))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def csv(text: str) -> str:
    """Return ``text`` such that no spreadsheet takes it for a formula."""
    line = clean(text, limit=2000)
    return f"'{line}" if line.startswith(_FORMULA_STARTS) else line
