"""Properties of length: what goes in comes out, down to the shortest input."""

from __future__ import annotations

import torch

from codecbench.conformance.properties import DoesNotApply, PropertyFails, conformance_property, require
from codecbench.conformance.subject import Subject
from codecbench.errors import CodecbenchError


@conformance_property("round-trip-length")
def round_trip_length(subject: Subject) -> str:
    """Do utterances of ordinary lengths come back with exactly their number of samples?"""
    if subject.spec.encode_only:
        raise DoesNotApply("encode-only")
    frame, shortest = subject.frame_samples, subject.spec.min_samples
    for length in sorted({max(n, shortest) for n in (2 * frame, 3 * frame + 1, 5 * frame - 1, subject.rate_hz)}):
        waves = subject.output(subject.cut(length))
        expected = subject.expected_length(length)
        stated, held = int(waves.num_samples[0]), int(waves.audio.shape[-1])
        require(stated == expected, f"{length} samples come back as {stated}, expected {expected}")
        require(held >= stated, f"{length} samples: num_samples says {stated}, the audio holds {held}")
    return ""


@conformance_property("short-input", needs=("waveform-format", "round-trip-length"))
def short_input(subject: Subject) -> str:
    """Are 0, 1, frame-1, frame and frame+1 samples coded, or refused clearly below ``min_samples``?"""
    frame, shortest = subject.frame_samples, subject.spec.min_samples
    for length in sorted({0, 1, shortest - 1, shortest, frame - 1, frame, frame + 1} - {-1}):
        try:
            encoded = subject.encode(subject.cut(length))
            if subject.spec.encode_only:
                continue
            waves = subject.decode(encoded)
        except (CodecbenchError, ValueError) as error:
            require(length < shortest, f"{length} samples (min_samples is {shortest}) are refused: {error}")
            continue
        except Exception as error:
            raise PropertyFails(f"{length} samples: {type(error).__name__}: {error}") from error
        stated, expected = int(waves.num_samples[0]), subject.expected_length(length)
        require(stated == expected, f"{length} samples come back as {stated}, expected {expected}")
        require(bool(torch.isfinite(waves.audio).all()), f"{length} samples: the output is not finite")
    return f"shortest {shortest} samples"


LENGTHS = (round_trip_length,)
SHORT = (short_input,)
