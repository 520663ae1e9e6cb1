"""Properties of time: what later input may change, how far a codec looks ahead, and streaming."""

from __future__ import annotations

import numpy as np
import torch

from codecbench.conformance.comparing import audio_differs, encoded_difference, listed
from codecbench.conformance.properties import DoesNotApply, conformance_property, require, require_same
from codecbench.conformance.signals import noise
from codecbench.conformance.subject import Subject
from codecbench.contracts.codec import StreamSession
from codecbench.contracts.encoded import Encoded, Tokens, TokenStream

_FRAMES = 12
_PLACES = 8


@conformance_property("prefix-causality", needs=("token-format", "determinism-calls", "frame-rate"))
def prefix_causality(subject: Subject) -> str:
    """Does a prefix of the input give a prefix of the codes, up to the declared delay before the cut?"""
    if not subject.spec.causal:
        raise DoesNotApply("causal is not declared")
    if not subject.spec.streams:
        raise DoesNotApply("no token streams; 'algorithmic-delay' judges the audio")
    frame = subject.frame_samples
    length = max(_FRAMES * frame, subject.spec.min_samples)
    whole = subject.encode(subject.cut(length))
    assert isinstance(whole, Tokens)
    cuts = [c for c in (3 * frame, 7 * frame, 10 * frame) if subject.spec.min_samples <= c < length]
    for cut in cuts:
        part = subject.encode(subject.cut(cut))
        assert isinstance(part, Tokens)
        for one, other in zip(whole.streams, part.streams, strict=True):
            _compare_prefix(subject, one, other, cut)
    return f"cut after {listed(cuts)} samples"


def _compare_prefix(subject: Subject, whole: TokenStream, part: TokenStream, cut: int) -> None:
    if whole.frame_rate_hz == 0:
        require(bool(torch.equal(whole.codes, part.codes)), f"global tokens '{whole.name}' depend on all of the input")
        return
    frame = subject.rate_hz / whole.frame_rate_hz
    look_ahead = max(0.0, subject.spec.algorithmic_delay_samples - frame)
    settled = int((cut - look_ahead) / frame + 1e-6)
    unequal = (whole.codes[0, :, :settled] != part.codes[0, :, :settled]).any(dim=0)
    wrong = torch.nonzero(unequal).flatten().tolist()
    require(not wrong, f"stream '{whole.name}': without what follows sample {cut}, frames {listed(wrong)} change")


@conformance_property("algorithmic-delay", needs=("waveform-format", "determinism-calls", "prefix-causality"))
def algorithmic_delay(subject: Subject) -> str:
    """Is the look-ahead of encoder and decoder, found by changing the input, the declared one?"""
    spec = subject.spec
    if spec.encode_only or not spec.deterministic:
        raise DoesNotApply("encode-only" if spec.encode_only else "deterministic is declared false")
    if not spec.causal and spec.algorithmic_delay_samples == 0:
        raise DoesNotApply("neither causal nor a delay is declared: the look-ahead may be the whole utterance")
    measured, declared = _measure_look_ahead(subject), spec.algorithmic_delay_samples
    said = f"measured {measured} samples, declared {declared}"
    # A zero declares a codec that works sample by sample: its one sample of frame is not worth the word.
    require(measured <= max(declared, 1), f"{said}: the codec waits for more input than it says")
    # What is measured is a lower bound: coders that adapt their blocks look furthest at few places only.
    slack = max(subject.frame_samples, declared // 2)
    require(declared - measured <= slack, f"{said}: {declared - measured} less, more than a frame and more than half")
    return said


def _measure_look_ahead(subject: Subject) -> int:
    """Return look-ahead plus frame in samples: the largest distance from a change back to its first effect.

    The input is replaced from one sample on, in turn for places all over a frame (or the declared delay, where that
    is longer: block switching looks further at some places), and each time the first decoded sample that moves is
    noted. A lower bound: a change too small for the quantiser is not seen.
    """
    spec = subject.spec
    span = max(subject.frame_samples, spec.algorithmic_delay_samples)
    length = max(_FRAMES * subject.frame_samples, spec.min_samples, 6 * spec.algorithmic_delay_samples)
    plain = subject.cut(length)
    before = subject.output(plain).row(0)
    scale = before.shape[-1] / length
    middle = length // 2 // subject.frame_samples * subject.frame_samples
    places = sorted({middle + span * share // _PLACES for share in range(_PLACES)} | {middle + span - 1})
    furthest = 0
    for place in places:
        moved = audio_differs(before, subject.output(_replaced(plain, place)).row(0))
        if len(moved):
            furthest = max(furthest, place - int(int(moved[0]) / scale) + 1)
    return max(0, furthest + round(spec.output_delay_samples / scale))


def _replaced(audio: np.ndarray, place: int) -> np.ndarray:
    changed = audio.copy()
    changed[place:] = noise(len(audio) - place, seed=9, level=0.25)
    return changed


@conformance_property("streaming", needs=("token-format", "determinism-calls"))
def streaming(subject: Subject) -> str:
    """Do pushed pieces of any size give the codes of offline encoding?"""
    if not subject.spec.streaming:
        raise DoesNotApply("streaming is not declared")
    frame = subject.frame_samples
    signal = subject.cut(max(_FRAMES * frame + frame // 3, subject.spec.min_samples))
    offline = subject.encode(signal)
    for piece in (frame, frame // 2 + 1, 3 * frame - 1):
        streamed = _stream(subject, signal, max(1, piece))
        require_same(encoded_difference(streamed, offline), f"pushed in pieces of {piece} samples, against offline")
    return ""


def _stream(subject: Subject, signal: np.ndarray, piece: int) -> Encoded:
    with torch.inference_mode():
        session: StreamSession = subject.codec.stream(1)
        audio = subject.batch(signal).audio
        parts = [session.push(part) for part in audio.split(piece, dim=-1)]
        parts.append(session.flush())
    tokens = [part for part in parts if isinstance(part, Tokens)]
    require(len(tokens) == len(parts), "a streaming session must return Tokens")
    streams = tuple(_joined([t.streams[i] for t in tokens]) for i in range(len(tokens[0].streams)))
    return Tokens(streams, torch.tensor([len(signal)]))


def _joined(parts: list[TokenStream]) -> TokenStream:
    first = parts[0]
    codes = torch.cat([p.codes[..., : int(p.num_frames[0])] for p in parts], dim=-1)
    frames = sum(p.num_frames for p in parts[1:]) + first.num_frames
    return TokenStream(first.name, codes, frames, first.frame_rate_hz, first.codebook_sizes)


CAUSALITY = (prefix_causality, algorithmic_delay, streaming)
