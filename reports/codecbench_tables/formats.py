"""The summary table as Markdown and LaTeX."""

from __future__ import annotations

from codecbench_tables.model import DASH, Cell, Column, SummaryTable
from codecbench_tables.text import latex, markdown


def to_markdown(table: SummaryTable) -> str:
    """Write a GitHub table with the caption above and the notes below."""
    heads = ["codec", *(_markdown_head(column) for column in table.columns), "scored", "failed"]
    lines = [markdown(table.caption), "", _bar(heads), _bar([":--", *["--:"] * (len(heads) - 1)])]
    for line in table.lines:
        counts = [DASH, DASH] if line.codec.unavailable else [str(line.scored), str(line.failed)]
        lines.append(_bar([markdown(line.codec.label), *(_markdown_cell(cell) for cell in line.cells), *counts]))
    lines += ["", *(f"- {markdown(note)}" for note in table.notes)]
    return "\n".join(lines).rstrip() + "\n"


def _bar(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _markdown_head(column: Column) -> str:
    return markdown(column.title + (f" ({column.subtitle})" if column.subtitle else ""))


def _markdown_cell(cell: Cell) -> str:
    figure = f"**{cell.estimate}**" if cell.best else cell.estimate
    return f"{figure}{cell.mark} {cell.interval}".rstrip()


def to_latex(table: SummaryTable) -> str:
    """Write a ``table*`` that shrinks to the page where it is wider; its first line names the packages."""
    heads = [rf"\textbf{{{latex(column.title)}}}" for column in table.columns]
    units = [latex(column.subtitle) for column in table.columns]
    lines = [
        "% needs \\usepackage{booktabs,graphicx,textcomp} and \\usepackage[T1]{fontenc}",
        r"\begin{table*}",
        r"\centering\small\setlength{\tabcolsep}{4pt}",
        rf"\caption{{{latex(table.caption)}}}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{l{'r' * len(table.columns)}rr}}",
        r"\toprule",
        " & ".join([r"\textbf{Codec}", *heads, r"\textbf{Scored}", r"\textbf{Failed}"]) + r" \\",
        " & ".join(["", *(rf"{{\footnotesize {unit}}}" if unit else "" for unit in units), "", ""]) + r" \\",
        r"\midrule",
    ]
    for line in table.lines:
        counts = [latex(DASH)] * 2 if line.codec.unavailable else [str(line.scored), str(line.failed)]
        lines.append(" & ".join([latex(line.codec.label), *(_latex_cell(c) for c in line.cells), *counts]) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}}"]
    lines += [rf"\par\footnotesize {latex(note)}" for note in table.notes]
    return "\n".join([*lines, r"\end{table*}"]) + "\n"


def _latex_cell(cell: Cell) -> str:
    figure = latex(cell.estimate)
    figure = rf"\textbf{{{figure}}}" if cell.best else figure
    interval = rf" {{\scriptsize {cell.interval}}}" if cell.interval else ""
    return figure + latex(cell.mark) + interval
