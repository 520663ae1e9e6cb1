"""The comparison of codecs under a speech language model, as Table 2 of the LM-SPT paper has it: Markdown and CSV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from codecbench.contracts.metric import Direction
from codecbench.errors import UsageError
from codecbench.results import RunResults
from codecbench.runinfo import CodecInfo, MetricInfo
from codecbench.stats.scores import select_common
from codecbench_slm.crossed import CrossedInterval, crossed_interval
from codecbench_slm.seeds import SeedValue, seed_values
from codecbench_tables.frames import for_csv
from codecbench_tables.text import markdown

COLUMNS = (
    "token_rate", "bitrate_bps", "stt_wer", "resynthesis_wer", "tts_wer", "tts_substitutions", "tts_deletions",
    "tts_insertions", "tts_repetitions", "tts_unfinished", "tts_distillmos", "tts_utmos", "tts_dnsmos_p808",
    "tts_speaker_similarity",
)  # fmt: skip
_ARROWS = {Direction.HIGHER: " ↑", Direction.LOWER: " ↓"}
_RATES = ("token_rate", "bitrate_bps")


@dataclass(frozen=True)
class Figure:
    """One cell: estimate and interval over utterances and seeds, and what it rests on."""

    codec: str
    metric: MetricInfo
    component: str
    interval: CrossedInterval
    num_utterances: int
    num_seeds: int


def write_table(runs: Sequence[RunResults], folder: Path) -> tuple[Path, ...]:
    """Write ``slm.md`` and ``slm.csv`` of each run; raises UsageError for a run without speech language models."""
    written: list[Path] = []
    for place, results in enumerate(runs):
        if "slm" not in results.info.tasks:
            raise UsageError(f"run '{results.info.name}' holds no speech language models (codecbench slm eval)")
        target = folder / f"{place + 1}-{Path(results.info.name).name}" if len(runs) > 1 else folder
        target.mkdir(parents=True, exist_ok=True)
        found = list(figures(results))
        text, frame = target / "slm.md", target / "slm.csv"
        text.write_text(to_markdown(results, found), encoding="utf-8")
        for_csv(to_frame(found)).to_csv(frame, index=False)
        written += [text, frame]
    return tuple(written)


def figures(results: RunResults) -> Iterator[Figure]:
    """Yield each metric of each codec over the utterances that all codecs compared have a value for."""
    for name in (n for n in COLUMNS if n in results.metrics):
        for component in results.components(name):
            table, view = results.scores(name, component), results.view(name, component)
            chosen = select_common(table)
            places = zip(view["codec"].astype(str), view["utterance_id"].astype(str), strict=True)
            details = dict(zip(places, view["detail"].astype(str), strict=True))
            for c, codec in enumerate(table.codecs):
                used = np.flatnonzero((chosen.common if chosen.compared[c] else True) & table.ok[c])
                if not used.size:
                    continue
                seeds = [seed_values(details[codec, table.utterances[u]]) for u in used]
                parts = (table.numerators[c][used], table.denominators[c][used])
                top, bottom = _by_seed(seeds, table.metric.scale) or (parts[0][None], parts[1][None])
                if (bottom.sum(axis=1) > 0).all():
                    interval = crossed_interval(top, bottom)
                    yield Figure(codec, table.metric, component, interval, int(used.size), len(top))


def _by_seed(rows: Sequence[tuple[SeedValue, ...]], scale: float) -> tuple[np.ndarray, np.ndarray] | None:
    """Arrange numerators and denominators as [S, U]; None where the records carry no seeds."""
    if not all(rows):
        return None
    top = np.array([[value.numerator for value in row] for row in rows]).T
    bottom = np.array([[value.denominator for value in row] for row in rows]).T
    return scale * top, bottom


def to_frame(found: Sequence[Figure]) -> pd.DataFrame:
    """One figure a row, with both standard errors."""
    return pd.DataFrame(
        {
            "codec": f.codec,
            "metric": f.metric.name,
            "component": f.component,
            "estimate": f.interval.estimate,
            "low": f.interval.low,
            "high": f.interval.high,
            "utterance_error": f.interval.utterance_error,
            "seed_error": f.interval.seed_error,
            "utterances": f.num_utterances,
            "seeds": f.num_seeds,
        }
        for f in found
    )


def to_markdown(results: RunResults, found: Sequence[Figure]) -> str:
    """Write the table with its budget and what it can show."""
    places = dict.fromkeys((f.metric.name, f.component) for f in found)
    cells = {(f.codec, f.metric.name, f.component): f for f in found}
    heads = ["codec", "frame rate (Hz)", *(_head(results.metrics[name], component) for name, component in places)]
    lines = ["# Speech language models", "", markdown(_caption(results, found)), "", _bar(heads)]
    lines.append(_bar([":--", *["--:"] * (len(places) + 1)]))
    for codec in results.info.codecs:
        row = [_cell(cells.get((codec.label, *place))) for place in places]
        lines.append(_bar([markdown(codec.label), _frame_rate(codec), *row]))
    return "\n".join([*lines, "", *(f"- {markdown(note)}" for note in _notes(results.info.codecs, found))]) + "\n"


def _bar(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _frame_rate(codec: CodecInfo) -> str:
    streams = codec.spec.get("streams") or ()
    return f"{streams[0]['frame_rate_hz']:g}" if streams else "\N{EN DASH}"


def _head(metric: MetricInfo, component: str) -> str:
    arrow = "" if metric.name in _RATES else _ARROWS.get(Direction(metric.direction), "")
    unit = ", ".join(part for part in (metric.unit, component) if part)
    return markdown(f"{metric.title}{arrow}" + (f" ({unit})" if unit else ""))


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return "\N{EN DASH}"
    d, interval = figure.metric.decimals, figure.interval
    text = f"{interval.estimate:.{d}f}"
    if figure.metric.name in _RATES or interval.low is None or interval.high is None:
        return text
    low, high = figure.metric.bounds
    ends = np.clip([interval.low, interval.high], -np.inf if low is None else low, np.inf if high is None else high)
    return text if f"{ends[0]:.{d}f}" == f"{ends[1]:.{d}f}" else f"{text} [{ends[0]:.{d}f}, {ends[1]:.{d}f}]"


def _caption(results: RunResults, found: Sequence[Figure]) -> str:
    corpus = results.info.corpus
    seeds = max((f.num_seeds for f in found), default=1)
    recognizers = ", ".join(results.info.recognizers)
    return (
        f"{corpus.num_utterances} test utterances, {corpus.duration_s / 60:.1f} min, {corpus.num_speakers} speakers, "
        f"{', '.join(corpus.languages)}. STT: text that the model writes of speech. TTS: speech that it makes of text, "
        f"heard by {recognizers}. Brackets: 95 % intervals over utterances and {seeds} training seed"
        f"{'s' * (seeds != 1)}."
    )


def _notes(codecs: Sequence[CodecInfo], found: Sequence[Figure]) -> Iterator[str]:
    for codec in codecs:
        for note in codec.notes:
            yield f"{codec.label}: {note}"
    if any(f.num_seeds == 1 for f in found if f.metric.name.startswith(("stt_", "tts_")) and f.codec != "identity"):
        yield "With one seed nothing is known of how much training varies: small differences may be chance."
    yield "identity: the recogniser on the recordings themselves; no model that is heard by it can be expected below."
    yield "Resynthesis WER: the recordings as the codec alone gives them back; what TTS loses beyond is the model's."
