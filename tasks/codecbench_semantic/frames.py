"""Codes and phones on one time axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from codecbench.contracts.encoded import TokenStream
from codecbench_semantic.alignment import Phone


@dataclass(frozen=True, eq=False)
class Segment:
    """The codes that one spoken phone covers."""

    phone: str
    speaker: str
    codes: np.ndarray


def phone_of_frames(phones: Sequence[Phone], num_frames: int, frame_rate_hz: float) -> list[str]:
    """Return the phone at the centre of each frame, "" outside all of them; all silences are one phone."""
    centres = _centres(num_frames, frame_rate_hz)
    starts = np.array([p.start_s for p in phones])
    place = np.searchsorted(starts, centres, side="right") - 1
    return [_name(phones[i]) if i >= 0 and t < phones[i].end_s else "" for i, t in zip(place, centres, strict=True)]


def segments(phones: Sequence[Phone], codes: np.ndarray, frame_rate_hz: float, speaker: str) -> list[Segment]:
    """Return the codes [F] of each phone: frames with their centre in it, else the one that its own centre is in."""
    centres = _centres(len(codes), frame_rate_hz)
    found = []
    for phone in phones:
        if phone.is_silence:
            continue
        first, last = np.searchsorted(centres, [phone.start_s, phone.end_s])
        if last <= first:
            first = int((phone.start_s + phone.end_s) / 2 * frame_rate_hz)
            last = first + 1
        part = codes[first:last]
        if len(part):
            found.append(Segment(phone.name, speaker, part))
    return found


def codes_of(stream: TokenStream, codebook: int) -> np.ndarray:
    """Return the codes of one codebook of a stream, int64 [F] (B = 1)."""
    codes: np.ndarray = stream.codes[0, codebook, : int(stream.num_frames[0])].cpu().numpy()
    return codes


def _centres(num_frames: int, frame_rate_hz: float) -> np.ndarray:
    return (np.arange(num_frames) + 0.5) / frame_rate_hz


def _name(phone: Phone) -> str:
    return "SIL" if phone.is_silence else phone.name
