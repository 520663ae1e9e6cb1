"""The dry run on the terminal."""

from __future__ import annotations

from collections.abc import Iterator

import click

from codecbench.cli.common import print_table
from codecbench.runner.preview import Estimate, Preview
from codecbench.runner.survey import GroupWork


def print_preview(preview: Preview) -> None:
    """Print what is to be done for each codec and by each scorer, and the estimate."""
    hours = preview.audio_s / 3600
    title = f"{preview.corpus}: {preview.num_utterances} utterances, {hours:.2f} h (nothing is written)"
    columns = ("codec", "to encode", "to decode", "to score", "scores in the store")
    print_table(title, columns, (row for work in preview.works for row in _lane_rows(work)))
    by_scorer = list(_scorer_rows(preview))
    if by_scorer:
        print_table("Scores to be made", ("scorer", "utterances × codecs"), by_scorer)
    for late in preview.late:
        click.echo(f"at the end: {late.scorer} ({late.stage}) of {late.label}")
    for name, reason in preview.unavailable.items():
        click.echo(f"unavailable: {name}: {reason}")
    click.echo(_estimate(preview.estimate))


def _lane_rows(work: GroupWork) -> Iterator[tuple[str, ...]]:
    for place, lane in enumerate(work.lanes):
        encodes = f"{work.encodes.items} of {work.num_utterances}" if place == 0 else f"with {work.lanes[0].label}"
        scores = sum(scorer.amount.items for scorer in lane.scorers)
        stored = sum(scorer.amount.stored for scorer in lane.scorers)
        yield lane.label, encodes, str(lane.decodes.items), str(scores), str(stored)


def _scorer_rows(preview: Preview) -> Iterator[tuple[str, str]]:
    counts: dict[str, int] = {}
    for work in preview.works:
        for lane in work.lanes:
            for scorer in lane.scorers:
                name = scorer.scorer.title
                counts[name] = counts.get(name, 0) + scorer.amount.items
    yield from ((name, str(count)) for name, count in counts.items() if count)


def _estimate(estimate: Estimate) -> str:
    workers = f"{estimate.num_workers} metric process{'es' if estimate.num_workers != 1 else ''}"
    known = f"{_time(estimate.codec_s)} of codec, {_time(estimate.metric_s)} of metrics by {workers}"
    if not estimate.unknown:
        return f"estimate: {_time(estimate.wall_s)} ({known}; loading and timings come on top)"
    some = ", ".join(estimate.unknown[:4]) + (" …" if len(estimate.unknown) > 4 else "")
    if not estimate.wall_s:
        return f"estimate: unknown, since this store has seen none of it yet ({some})"
    return f"estimate: more than {_time(estimate.wall_s)} ({known}); unknown: {some}"


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
