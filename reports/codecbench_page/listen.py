"""What there is to listen to: utterances chosen, drawn and worst, every codec of each, within a size budget."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from codecbench.contracts.codec import Role
from codecbench.contracts.encoded import Tokens
from codecbench.contracts.metric import Direction, Reducer
from codecbench.errors import UsageError
from codecbench.results import RunResults
from codecbench.runinfo import MetricInfo
from codecbench_page.sound import Clip, make_clip
from codecbench_page.text import visible
from codecbench_page.words import Said, words_said
from codecbench_plots.common import quality_views

ORIGINAL = "original"
MAX_TOKEN_FRAMES = 1500


@dataclass(frozen=True)
class ListenOptions:
    """Which utterances, and how many bytes their audio and pictures may take."""

    budget_bytes: int = 12_000_000
    chosen: tuple[str, ...] = ()
    num_random: int = 4
    num_worst: int = 10


@dataclass
class ListenPart:
    """The data of the players, and what was left out of them.

    groups: (name, utterance ids) in the order shown. left_out: utterances without audio for want of room;
    not_kept: those of which the run kept none.
    """

    systems: tuple[str, ...]
    groups: tuple[tuple[str, tuple[str, ...]], ...]
    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    num_bytes: int = 0
    left_out: int = 0
    not_kept: int = 0
    without_audio: bool = False


def listen_part(results: RunResults, options: ListenOptions) -> ListenPart:
    """Choose utterances and make their clips, most wanted first, until the budget is used up.

    Raises UsageError for a chosen utterance that the run does not have.
    """
    systems = (ORIGINAL, *_systems(results))
    audible = _audible(results, systems)
    part = ListenPart(systems, tuple(_groups(results, options, audible)), without_audio=not audible)
    said = words_said(results)
    values = {view: results.scores(view[0].name, view[1]) for view in quality_views(results)}
    for utterance in _by_priority(part.groups):
        # The first that does not fit ends it: smaller ones behind it would be chosen for their length.
        room = options.budget_bytes > 0 and part.left_out == 0
        clips = _clips(results, utterance, systems) if room and utterance in audible else {}
        size = sum(clip.num_bytes for clip in clips.values())
        if part.num_bytes + size > options.budget_bytes:
            clips, size = {}, 0
        part.not_kept += utterance not in audible
        part.left_out += utterance in audible and not clips
        part.num_bytes += size
        part.items[utterance] = {
            "id": visible(utterance),
            "text": visible(results.artifacts.text(utterance) or ""),
            "systems": [_item(results, s, utterance, clips.get(s), said) for s in systems],
            "scores": [_scores(view, table, utterance, systems) for view, table in values.items()],
        }
    return part


def _systems(results: RunResults) -> Iterator[str]:
    """Codecs that can be heard: a ceiling is the original itself."""
    for codec in results.info.codecs:
        if codec.role != Role.CEILING and not codec.unavailable:
            yield codec.label


def _audible(results: RunResults, systems: tuple[str, ...]) -> frozenset[str]:
    """Return the utterances of which some codec's decoded audio was kept."""
    artifacts = results.artifacts
    return frozenset(n for n in artifacts.utterances if any(artifacts.audio(system, n) for system in systems[1:]))


def _groups(
    results: RunResults, options: ListenOptions, audible: frozenset[str]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    ids = list(dict.fromkeys(str(i) for i in results.records["utterance_id"].cat.categories if i))
    unknown = [name for name in options.chosen if name not in ids]
    if unknown:
        raise UsageError(f"page.utterances: the run has no utterance '{unknown[0]}'; its ids are in the records")
    if options.chosen:
        yield "Chosen", options.chosen
    # By the hash of the id: a draw that does not change with the order or the number of the others.
    pool = [name for name in ids if name in audible] or ids
    drawn = sorted(pool, key=lambda name: hashlib.blake2b(name.encode("utf-8", "replace")).digest())
    yield "Random", tuple(drawn[: options.num_random])
    view = next((v for v in quality_views(results) if v[0].reducer != Reducer.CORPUS), None)
    if view is None:
        return
    table = results.scores(view[0].name, view[1])
    sign = -1 if view[0].direction == Direction.LOWER else 1
    for c, label in enumerate(table.codecs):
        if label in set(_systems(results)) and options.num_worst:
            order = [i for i in np.argsort(sign * table.values[c], kind="stable") if np.isfinite(table.values[c, i])]
            worst = tuple(str(table.utterances[i]) for i in order[: options.num_worst])
            yield f"Worst {view[0].title} of {label}", worst


def _by_priority(groups: tuple[tuple[str, tuple[str, ...]], ...]) -> Iterator[str]:
    """Chosen and random first, then the worst of every codec, then the second worst of every codec …"""
    first = [names for title, names in groups if title in ("Chosen", "Random")]
    rest = [names for title, names in groups if title not in ("Chosen", "Random")]
    ordered = [name for names in first for name in names]
    for place in range(max((len(names) for names in rest), default=0)):
        ordered += [names[place] for names in rest if place < len(names)]
    yield from dict.fromkeys(ordered)


def _clips(results: RunResults, utterance: str, systems: tuple[str, ...]) -> dict[str, Clip]:
    """Clips of the systems that have audio; nothing where only the original has."""
    artifacts = results.artifacts
    files = {s: artifacts.audio(s, utterance) for s in systems[1:]}
    if not any(files.values()):
        return {}
    files = {ORIGINAL: artifacts.reference(utterance), **files}
    with ThreadPoolExecutor() as pool:  # encoders, filters and transforms run beside each other
        made = pool.map(_clip, files.values())
        return {system: clip for system, clip in zip(files, made, strict=True) if clip is not None}


def _clip(path: Path | None) -> Clip | None:
    try:
        return make_clip(path) if path else None
    except (OSError, RuntimeError):  # the corpus has gone, or the file cannot be read any more
        return None


def _item(
    results: RunResults, system: str, utterance: str, clip: Clip | None, said: dict[tuple[str, str], list[Said]]
) -> dict[str, Any]:
    codec = system if system != ORIGINAL else next((c.label for c in results.info.codecs if c.role == Role.CEILING), "")
    heard = [{"by": visible(s.recognizer), "edits": s.edits} for s in said.get((codec, utterance), [])]
    made: dict[str, Any] = {"name": visible(system), "said": heard}
    if clip:
        made |= {"audio": clip.audio, "picture": clip.spectrogram, "lufs": clip.loudness_lufs, "s": clip.duration_s}
        made["tokens"] = _tokens(results, system, utterance)
    return made


def _tokens(results: RunResults, codec: str, utterance: str) -> list[dict[str, Any]]:
    """Codes by stream for the token map, cut to the first ``MAX_TOKEN_FRAMES`` frames."""
    encoded = results.artifacts.tokens(codec, utterance) if codec != ORIGINAL else None
    if not isinstance(encoded, Tokens):
        return []
    streams = []
    for stream in encoded.streams:
        frames = int(stream.num_frames[0])
        if not frames or stream.frame_rate_hz > 500:  # samples (PCM), not tokens: no map can show them
            continue
        codes = stream.codes[0, :, : min(frames, MAX_TOKEN_FRAMES)].tolist()
        sizes, name = list(stream.codebook_sizes), visible(stream.name)
        streams.append({"name": name, "rate": stream.frame_rate_hz, "frames": frames, "sizes": sizes, "codes": codes})
    return streams


def _scores(view: tuple[MetricInfo, str], table: Any, utterance: str, systems: tuple[str, ...]) -> dict[str, Any]:
    metric, component = view
    column = np.flatnonzero(table.utterances == utterance)
    values: list[float | None] = []
    for system in systems:
        if system in table.codecs and len(column):
            value = float(table.values[table.codecs.index(system), column[0]])
            values.append(value if np.isfinite(value) else None)
        else:
            values.append(None)
    title = f"{metric.title} ({component})" if component else metric.title
    return {"title": visible(title), "decimals": metric.decimals, "values": values}


def listen_json(part: ListenPart) -> dict[str, Any]:
    """Return the part for JSON; utterances are numbered, so that hostile ids are never keys."""
    numbers = {name: index for index, name in enumerate(part.items)}
    return {
        "systems": [visible(system) for system in part.systems],
        "groups": [
            [visible(title), [numbers[name] for name in names if name in numbers]] for title, names in part.groups
        ],
        "items": list(part.items.values()),
    }
