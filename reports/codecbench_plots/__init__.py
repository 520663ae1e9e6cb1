"""Plots of finished runs for papers: metric bars, quality against rate, distributions, codebook use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codecbench.contracts.codec import OptionSpec
from codecbench.contracts.report import ReportSpec
from codecbench.hookspecs import hookimpl

if TYPE_CHECKING:
    from codecbench.registering import RegisterReport
    from codecbench.results import RunResults

SPEC = ReportSpec(
    name="plots",
    description="metric bars, quality against bitrate and tokens, distributions, codebook use (PNG and SVG)",
    options=(
        OptionSpec(
            "width",
            "width on paper: column (3.4 in), full (7.0 in) or both",
            default="column",
            affects="nothing",
            choices=("column", "full", "both"),
        ),
        OptionSpec("dpi", "resolution of the PNG files", type="int", default=200, affects="nothing"),
    ),
)


@hookimpl
def register_reports(register: RegisterReport) -> None:
    """Register the report ``plots``."""
    register(SPEC, _render)


def _render(runs: Sequence[RunResults], folder: Path, options: Mapping[str, Any]) -> Sequence[Path]:
    from codecbench_plots.render import write_plots

    return write_plots(runs, folder, width=str(options.get("width", "column")), dpi=int(options.get("dpi", 200)))
