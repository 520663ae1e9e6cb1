"""Writing all plots of finished runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG

from codecbench.results import RunResults
from codecbench_plots import theme
from codecbench_plots.bars import bar_plots
from codecbench_plots.codebooks import codebook_plots
from codecbench_plots.common import Plot, file_name
from codecbench_plots.distributions import distribution_plots
from codecbench_plots.rate import rate_plots

WIDTHS = {"column": (theme.COLUMN_IN,), "full": (theme.FULL_IN,), "both": (theme.COLUMN_IN, theme.FULL_IN)}
KINDS: dict[str, Callable[[RunResults, float], Iterator[Plot]]] = {
    "metric bars": bar_plots,
    "quality against rate": rate_plots,
    "per-utterance distributions": distribution_plots,
    "codebook use": codebook_plots,
}


def write_plots(runs: Sequence[RunResults], folder: Path, width: str = "column", dpi: int = 200) -> tuple[Path, ...]:
    """Write every plot that a run has data for as PNG and SVG; return the files.

    What could not be drawn is named in ``notes.txt`` with its reason.
    """
    written: list[Path] = []
    for place, results in enumerate(runs):
        own = folder / file_name(str(place + 1), results.info.name or "run") if len(runs) > 1 else folder
        own.mkdir(parents=True, exist_ok=True)
        written += _write(results, own, WIDTHS[width], dpi)
    return tuple(written)


def _write(results: RunResults, folder: Path, widths: Sequence[float], dpi: int) -> list[Path]:
    written, missing = [], []
    with theme.style():
        for kind, plots in KINDS.items():
            found = False
            for width_in in widths:
                for plot in plots(results, width_in):
                    suffix = "-full" if width_in == theme.FULL_IN and len(widths) > 1 else ""
                    written += _save(plot, folder, suffix, dpi)
                    found = True
            if not found:
                missing.append(f"{kind}: no codec of this run has the figures for it")
    if missing:
        notes = folder / "notes.txt"
        notes.write_text("\n".join(["Not drawn:", *missing]) + "\n", "utf-8")
        written.append(notes)
    return written


def _save(plot: Plot, folder: Path, suffix: str, dpi: int) -> list[Path]:
    """Write one figure in both formats.

    The canvases are called directly: ``savefig`` lays out and draws twice for each format, and of a run's
    reports the plots take the longest. No date and no version, so that the same records give the same file.
    """
    figure, png, svg = plot.figure, folder / f"{plot.name}{suffix}.png", folder / f"{plot.name}{suffix}.svg"
    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")
    canvas.print_png(png, metadata={"Software": None})
    FigureCanvasSVG(figure).print_svg(svg, metadata={"Date": None, "Creator": None})
    return [png, svg]
