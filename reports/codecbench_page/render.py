"""Writing the page: templates filled, scripts inlined, and a policy that forbids everything from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from codecbench.errors import Unavailable
from codecbench.results import RunResults
from codecbench_page.failures import GATES, failures
from codecbench_page.listen import ListenOptions, listen_json, listen_part
from codecbench_page.rate import RatePair, rate_pairs
from codecbench_page.speed import speed
from codecbench_page.summary import summary_part
from codecbench_page.text import breakable, visible
from codecbench_page.tokens import token_part
from codecbench_page.trace import trace_data
from codecbench_plots import theme

FILE_NAME = "index.html"
SCRIPTS = ("common", "theme", "tables", "charts", "trace", "listen", "start")


@dataclass(frozen=True)
class RunPart:
    """One run as the templates see it, and the data that its scripts read."""

    number: int
    results: RunResults
    parts: dict[str, Any]
    data: Markup


def write_page(runs: Sequence[RunResults], folder: Path, listen: ListenOptions | None = None) -> Path:
    """Write ``index.html`` whole into ``folder`` and return its path; raises Unavailable without the chart library."""
    parts = [_run_part(number, results, listen or ListenOptions()) for number, results in enumerate(runs)]
    scripts = [_chart_library(), _own_scripts()]
    style = Markup(_static("page.css"))
    page = _environment().get_template("page.html").render(
        runs=parts, scripts=[Markup(s) for s in scripts], style=style, policy=_policy(scripts), gates=GATES,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{FILE_NAME}.tmp"
    temporary.write_text(page, encoding="utf-8", newline="\n")
    return temporary.replace(folder / FILE_NAME)


def _run_part(number: int, results: RunResults, listen: ListenOptions) -> RunPart:
    pairs, tokens, costs = rate_pairs(results), token_part(results), speed(results)
    heard = listen_part(results, listen)
    data = {
        "palette": {"light": theme.PALETTE, "dark": theme.PALETTE_DARK},
        "trace": trace_data(results),
        "rate": [_pair(pair) for pair in pairs],
        "tokens": [chart.plain() for chart in tokens.charts],
        "speed": [chart.plain() for chart in costs.charts],
        "listen": listen_json(heard),
    }
    parts = {
        "summary": summary_part(results), "pairs": pairs, "tokens": tokens, "speed": costs, "listen": heard,
        "failures": failures(results), "info": results.info,
    }  # fmt: skip
    return RunPart(number, results, parts, to_json(data))


def _pair(pair: RatePair) -> dict[str, Any]:
    deltas = [
        [visible(d.test), visible(d.anchor), *(vars(d.rate).values()), *(vars(d.metric).values())] for d in pair.deltas
    ]
    words = pair.words and pair.by_tokens
    names = {"quality": visible(pair.quality), "rate": visible(pair.rate), "unit": visible(pair.unit)}
    return {**names, "chart": pair.chart.plain(), "deltas": deltas, "words": words}


def to_json(data: Any) -> Markup:
    """Return JSON that may stand in a script element: no tag can end it, no figure is NaN."""
    text = json.dumps(_finite(data), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return value


@cache
def _chart_library() -> str:
    """Return the source of Plotly's scripts as its package ships it."""
    try:
        file = resources.files("plotly") / "package_data" / "plotly.min.js"
        source = file.read_text("utf-8")
    except (ModuleNotFoundError, FileNotFoundError) as error:
        raise Unavailable("the page needs plotly for its charts", "pip install 'plotly>=6'") from error
    return _inlined(source)


@cache
def _own_scripts() -> str:
    return _inlined("'use strict';\n" + "\n".join(_static(f"{name}.js") for name in SCRIPTS))


def _inlined(source: str) -> str:
    """Normalise line ends, as browsers do before they hash, and refuse what would end the element."""
    text = "\n" + source.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "\\0") + "\n"
    if "</script" in text.lower() or "<!--" in text:
        raise ValueError("a script that is to be inlined holds an HTML tag")
    return text


def _policy(scripts: Sequence[str]) -> str:
    """Return the Content-Security-Policy: only these scripts run, and nothing is fetched."""
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "media-src data: blob:; connect-src 'none'; base-uri 'none'; form-action 'none'"
    )


def _static(name: str) -> str:
    return (resources.files("codecbench_page") / "static" / name).read_text("utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("codecbench_page"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
        finalize=lambda value: visible(value) if type(value) is str else value,
    )  # fmt: skip
    environment.filters["json"] = lambda value: json.dumps(value, indent=1, ensure_ascii=False, default=str)
    environment.filters["figure"] = _figure
    environment.filters["breakable"] = breakable
    return environment


def _figure(value: Any, digits: int = 4) -> str:
    if value is None:
        return "\N{EN DASH}"
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)
