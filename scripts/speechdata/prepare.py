"""From clips to training utterances: convert, trim, leave out junk, join what is very short, write."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import soundfile

from codecbench_corpora.g722 import G722DecodeError

from .audio import Limits, read_recording, to_int16, trim, why_junk
from .records import SAMPLE_RATE_HZ, FloatSamples, SpeechDataError, Utterance, write_flac
from .sources import Clip

# Words and phrases are joined, speaker by speaker, until a crop of a few seconds fits into them.
JOIN_BELOW_SECONDS = 3.0
JOIN_UNTIL_SECONDS = 5.0
MIN_PART_SECONDS = 0.4
_GAP_SAMPLES = SAMPLE_RATE_HZ // 20
_FADE_SAMPLES = SAMPLE_RATE_HZ // 100


@dataclasses.dataclass
class Report:
    """What became of a source's clips."""

    kept: int = 0
    seconds: float = 0.0
    left_out: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)


@dataclasses.dataclass(frozen=True)
class Part:
    """A clip with its trimmed samples, (T,) float32 at 16,000 Hz."""

    clip: Clip
    samples: FloatSamples

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return len(self.samples) / SAMPLE_RATE_HZ


def good_parts(clips: Iterable[Clip], limits: Limits, report: Report) -> Iterator[Part]:
    """Read and trim the clips; junk is counted in `report` by its reason and left out."""
    part_limits = dataclasses.replace(limits, min_seconds=MIN_PART_SECONDS)
    for clip in clips:
        try:
            samples = trim(read_recording(clip.path))
        except (soundfile.LibsndfileError, G722DecodeError):
            report.left_out["unreadable"] += 1
            continue
        if reason := why_junk(samples, part_limits):
            report.left_out[reason] += 1
        else:
            yield Part(clip, samples)


def join_short(parts: Iterable[Part], until_seconds: float = JOIN_UNTIL_SECONDS) -> Iterator[list[Part]]:
    """Groups of parts: a long one alone, short ones of the same speaker and language together."""
    waiting: dict[tuple[str, str], list[Part]] = collections.defaultdict(list)
    for part in parts:
        key = part.clip.speaker, part.clip.language
        if part.seconds >= JOIN_BELOW_SECONDS:
            yield [part]
            continue
        waiting[key].append(part)
        if sum(p.seconds for p in waiting[key]) >= until_seconds:
            yield waiting.pop(key)
    yield from waiting.values()


def concatenate(parts: list[Part]) -> FloatSamples:
    """The parts one after another, each faded over 10 ms at both ends, with gaps of 50 ms; one alone is as it was."""
    if len(parts) == 1:
        return parts[0].samples
    ramp = np.linspace(0, 1, _FADE_SAMPLES, dtype=np.float32)
    gap = np.zeros(_GAP_SAMPLES, dtype=np.float32)
    pieces: list[FloatSamples] = []
    for part in parts:
        faded = part.samples.copy()
        faded[:_FADE_SAMPLES] *= ramp
        faded[-_FADE_SAMPLES:] *= ramp[::-1]
        pieces += [faded, gap]
    return np.concatenate(pieces[:-1])


def prepare(name: str, clips: Iterable[Clip], out: Path, limits: Limits, report: Report) -> list[Utterance]:
    """Write a source's utterances as FLAC into `out/name` and return their manifest lines.

    Raises: `SpeechDataError` where nothing is left, which is never right.
    """
    utterances = []
    for parts in join_short(good_parts(clips, limits, report)):
        samples = concatenate(parts)
        if reason := why_junk(samples, limits):
            report.left_out[reason] += len(parts)
            continue
        utterances.append(_write(name, parts, samples, out))
        report.kept += len(parts)
    report.seconds = sum(u.seconds for u in utterances)
    if not utterances:
        raise SpeechDataError(f"Source {name!r}: no clip is left ({dict(report.left_out)}).")
    return utterances


def _write(name: str, parts: list[Part], samples: FloatSamples, out: Path) -> Utterance:
    first = parts[0].clip
    utterance_id = first.id if len(parts) == 1 else f"{first.id}+{len(parts) - 1}"
    audio = f"{name}/{utterance_id}.flac"
    texts = [part.clip.text for part in parts]
    return Utterance(
        id=utterance_id,
        audio=audio,
        text=" ".join(t for t in texts if t) if all(texts) else None,
        speaker=first.speaker,
        language=first.language,
        seconds=round(len(samples) / SAMPLE_RATE_HZ, 3),
        sha256=write_flac(out / audio, to_int16(samples)),
        licence=first.licence,
        source="; ".join(part.clip.source for part in parts),
    )
