"""Strings that must come out of every format as text."""

from __future__ import annotations

HOSTILE = (
    "<script>alert(1)</script>",
    '=HYPERLINK("http://x","y")',
    "@SUM(A1:A9)",
    "+1|cmd",
    "-2+3",
    r"\input{/etc/passwd} $x_1^2$ 50% #a & {b} ~ `c`",
    "a | b | c\nsecond line\r\n| --- |",
    "**bold** [link](javascript:alert(1)) ![img](x) _em_",
    "\u202eright to left\u202c \u05e9\u05dc\u05d5\u05dd \u4f60\u597d \x1b[31mred\x1b[0m \x00",
    "x" * 10_000,
)
