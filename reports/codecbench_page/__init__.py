"""One self-contained HTML page of finished runs: summary, rates, listening, tokens, speed, failures, provenance."""

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
    name="page",
    description="one HTML file that opens from disk: tables, interactive charts, players, provenance",
    options=(
        OptionSpec(
            "audio_budget_mb",
            "megabytes of the page that audio and spectrograms may take; 0 leaves them out",
            type="float",
            default=12.0,
            affects="nothing",
        ),
        OptionSpec(
            "utterances", "ids of utterances to listen to, by commas, before the others", default="", affects="nothing"
        ),
        OptionSpec("random", "utterances to listen to that chance chooses", type="int", default=4, affects="nothing"),
        OptionSpec("worst", "worst utterances of each codec", type="int", default=10, affects="nothing"),
    ),
    requirements=("jinja2", "plotly", "pillow"),
)


@hookimpl
def register_reports(register: RegisterReport) -> None:
    """Register the report ``page``."""
    register(SPEC, _render)


def _render(runs: Sequence[RunResults], folder: Path, options: Mapping[str, Any]) -> Sequence[Path]:
    from codecbench_page.listen import ListenOptions
    from codecbench_page.render import write_page

    chosen = tuple(part.strip() for part in str(options.get("utterances") or "").split(",") if part.strip())
    listen = ListenOptions(
        budget_bytes=int(1e6 * float(options.get("audio_budget_mb", 12.0))),
        chosen=chosen,
        num_random=int(options.get("random", 4)),
        num_worst=int(options.get("worst", 10)),
    )
    return (write_page(runs, folder, listen),)
