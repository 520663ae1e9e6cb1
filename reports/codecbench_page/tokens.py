"""How codecs use their codebooks, from the records and, where the run kept them, from the tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from codecbench.contracts.codec import Role
from codecbench.contracts.encoded import Tokens
from codecbench.contracts.metric import MetricRole
from codecbench.results import RunResults
from codecbench.runinfo import MetricInfo
from codecbench.stats.curves import family_of, rate_curves
from codecbench_page.charts import DASHES, Chart, DataTable, Looks, axis
from codecbench_page.text import chart_text
from codecbench_tables.frames import codebooks_frame

MAX_UTTERANCES, TOP = 400, 8


@dataclass(frozen=True)
class CommonCodes:
    """The most frequent codes of one codebook: (code, share) pairs, and how many of its codes occur at all."""

    codec: str
    codebook: str
    size: int
    frames: int
    used: int
    codes: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class TokenPart:
    """Charts by codebook, their table, and the most frequent codes."""

    charts: tuple[Chart, ...]
    heads: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    common: tuple[CommonCodes, ...]
    counted: int


def token_part(results: RunResults) -> TokenPart:
    """Gather what is known of the tokens of a run."""
    roles = (MetricRole.CODEBOOK_USE, MetricRole.CODEBOOK_ENTROPY)
    metrics = [metric for metric in results.info.metrics if metric.role in roles]
    charts = tuple(chart for metric in metrics if (chart := _chart(results, metric)))
    frame = codebooks_frame(results)
    rows = tuple(tuple(None if pd.isna(v) else v for v in row) for row in frame.itertuples(index=False))
    utterances = results.artifacts.utterances[:MAX_UTTERANCES]
    common = tuple(c for label in widest(results) for c in _common(results, label, utterances))
    heads = tuple(results.metrics[name].title if name in results.metrics else name for name in map(str, frame.columns))
    return TokenPart(charts, heads, rows, common, len(utterances))


def widest(results: RunResults) -> tuple[str, ...]:
    """Return for each curve the setting with the most codebooks: the others are parts of it, or other variants."""
    chosen = []
    for curve in rate_curves(results):
        if curve.role == Role.CODEC:
            cut = {label for label in curve.labels if "@" in label}
            whole = [label for label in curve.labels if label not in cut]
            chosen += whole or [max(cut, key=lambda label: int(label.partition("@")[2].partition("/")[0]))]
    return tuple(chosen)


def _chart(results: RunResults, metric: MetricInfo) -> Chart | None:
    looks, infos = Looks.of(results), results.codec_infos
    traces: list[dict[str, Any]] = []
    table: list[tuple[Any, ...]] = []
    seen: dict[str, int] = {}
    for label in widest(results):
        rows = {r.component: r for r in results.summary.rows if r.codec == label and r.metric == metric.name}
        books = [c for c in results.components(metric.name) if c and c in rows and rows[c].estimate is not None]
        if not books:
            continue
        family = family_of(infos[label])
        number = seen[family] = seen.get(family, -1) + 1
        colour, values = looks.colour(family), [rows[book].estimate for book in books]
        traces.append({
            "type": "scatter", "mode": "lines+markers", "name": chart_text(label, 34), "meta": [label],
            "x": list(range(1, len(books) + 1)), "y": values, "text": [chart_text(book) for book in books],
            "hovertemplate": "%{text}: %{y:.4~g}<extra></extra>", "marker": {"symbol": looks.marker(family),
            "color": colour, "size": 8}, "line": {"color": colour, "dash": DASHES[number % len(DASHES)]},
        })  # fmt: skip
        table += [(label, book, value) for book, value in zip(books, values, strict=True)]
    if not traces:
        return None
    layout = {"xaxis": {"title": {"text": "Codebook, in decoding order"}, "dtick": 1}, "yaxis": axis(metric)}
    alt = f"{metric.title} of each codebook of {len(traces)} codecs."
    data = DataTable(("codec", "codebook", metric.title), tuple(table))
    return Chart(metric.title, alt, tuple(traces), layout, data, height=380)


def _common(results: RunResults, label: str, utterances: tuple[str, ...]) -> list[CommonCodes]:
    counts: dict[tuple[str, int], np.ndarray] = {}
    for name in utterances:
        encoded = results.artifacts.tokens(label, name)
        if not isinstance(encoded, Tokens):
            return []
        for stream in encoded.streams:
            codes = stream.codes[0, :, : int(stream.num_frames[0])].numpy()
            for k, size in enumerate(stream.codebook_sizes):
                found = np.bincount(codes[k][codes[k] >= 0], minlength=size)
                place = (f"{stream.name} {k + 1}", size)
                counts[place] = counts.get(place, np.zeros(size, np.int64)) + found
    return [_most(label, book, size, found) for (book, size), found in counts.items() if found.sum()]


def _most(label: str, book: str, size: int, found: np.ndarray) -> CommonCodes:
    total = int(found.sum())
    order = np.argsort(-found, kind="stable")[:TOP]
    codes = tuple((int(c), float(found[c]) / total) for c in order if found[c])
    return CommonCodes(label, book, size, total, int((found > 0).sum()), codes)
