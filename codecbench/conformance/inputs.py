"""Properties of odd input: silence, full scale, a constant, NaN."""

from __future__ import annotations

import numpy as np
import torch

from codecbench.conformance.comparing import encoded_difference
from codecbench.conformance.properties import DoesNotApply, conformance_property, require, require_same
from codecbench.conformance.signals import tone
from codecbench.conformance.subject import Subject
from codecbench.contracts.encoded import AudioPassthrough, Encoded, Tokens

_NEEDS = ("token-format", "waveform-format", "round-trip-length")


@conformance_property("silence", needs=_NEEDS)
def silence(subject: Subject) -> str:
    """Does digital silence come back finite and of the right length?"""
    return _survives(subject, np.zeros(_length(subject), np.float32))


@conformance_property("full-scale", needs=_NEEDS)
def full_scale(subject: Subject) -> str:
    """Do a full-scale tone and a full-scale square come back finite and of the right length?"""
    sine = tone(_length(subject), subject.rate_hz)
    _survives(subject, sine)
    return _survives(subject, np.sign(sine).astype(np.float32))


@conformance_property("constant", needs=_NEEDS)
def constant(subject: Subject) -> str:
    """Does a constant (DC) come back finite and of the right length?"""
    return _survives(subject, np.full(_length(subject), 0.5, np.float32))


@conformance_property("nan-input", needs=(*_NEEDS, "determinism-calls"))
def nan_input(subject: Subject) -> str:
    """Is NaN input refused or coded to something finite, and the next utterance coded as if nothing had been?

    The runner refuses NaN before any codec sees it, so either answer will do; what must not happen is a codec
    whose state is poisoned for the utterances after, or codes outside their range. A codec that codes nothing
    hands on what it was given.
    """
    clean = subject.cut(_length(subject))
    before = subject.encode(clean)
    broken = clean.copy()
    broken[len(broken) // 2 :: 7] = np.nan
    try:
        encoded = subject.encode(broken)
        audio = None if subject.spec.encode_only else subject.decode(encoded).audio
    except Exception as error:
        said = f"refused by {type(error).__name__}"
    else:
        said = _require_finite(encoded, audio)
    if subject.spec.deterministic:
        require_same(encoded_difference(before, subject.encode(clean)), "after NaN input, clean speech codes otherwise")
    return said


def _require_finite(encoded: Encoded, audio: torch.Tensor | None) -> str:
    if isinstance(encoded, AudioPassthrough):
        raise DoesNotApply("nothing is coded: what goes in comes out")
    if isinstance(encoded, Tokens):
        for stream in encoded.streams:
            for book, size in enumerate(stream.codebook_sizes):
                codes = stream.codes[:, book]
                outside = codes.numel() and not 0 <= int(codes.min()) <= int(codes.max()) < size
                require(not outside, f"NaN input gives codes outside 0..{size - 1} in stream '{stream.name}'")
    if audio is not None:
        require(bool(torch.isfinite(audio).all()), "NaN input gives NaN output instead of an error")
    return "coded to something finite"


def _survives(subject: Subject, signal: np.ndarray) -> str:
    encoded = subject.encode(signal)
    if subject.spec.encode_only:
        return ""
    waves = subject.decode(encoded)
    stated, expected = int(waves.num_samples[0]), subject.expected_length(len(signal))
    require(stated == expected, f"{len(signal)} samples come back as {stated}, expected {expected}")
    bad = int((~torch.isfinite(waves.audio)).sum())
    require(bad == 0, f"{bad} of {waves.audio.numel()} samples are NaN or infinite")
    return ""


def _length(subject: Subject) -> int:
    return max(6 * subject.frame_samples + 1, subject.spec.min_samples)


INPUTS = (silence, full_scale, constant, nan_input)
