"""Properties of rate and delay: what is declared is what is measured."""

from __future__ import annotations

import math

import numpy as np

from codecbench.audio.delay import align, measure_delay
from codecbench.audio.resample import resample
from codecbench.conformance.properties import DoesNotApply, conformance_property, require
from codecbench.conformance.subject import Subject
from codecbench.contracts.encoded import Tokens

# A coder with a variable or padded rate keeps within this share of what it is set to on a few seconds of speech.
BITSTREAM_TOLERANCE = 0.2
# Half of DAC's eight-sample lead at 16 kHz, which must be seen.
DELAY_TOLERANCE_S = 0.25e-3
# Below this correlation the output is not a waveform match of the input (a parametric codec, untrained weights).
LEAST_CORRELATION = 0.4


@conformance_property("frame-rate", needs=("token-format",))
def frame_rate(subject: Subject) -> str:
    """Does each stream hold as many frames as its declared rate says?"""
    if not subject.spec.streams:
        raise DoesNotApply("no token streams")
    half = subject.cut(max(len(subject.voice) // 2, subject.spec.min_samples))
    for signal in (subject.voice, half):
        encoded = subject.encode(signal)
        assert isinstance(encoded, Tokens)
        for stream in encoded.streams:
            if stream.frame_rate_hz == 0 or stream.durations is not None:
                continue  # global tokens, or as many as the content asks for
            expected, found = len(signal) / subject.rate_hz * stream.frame_rate_hz, int(stream.num_frames[0])
            require(
                abs(found - expected) <= 1.0,
                f"stream '{stream.name}': {found} frames for {len(signal)} samples, "
                f"{stream.frame_rate_hz:g} Hz makes {expected:.1f}",
            )
    return ", ".join(f"{s.name} {s.frame_rate_hz:g} Hz" for s in subject.spec.streams)


@conformance_property("bitrate", needs=("token-format", "frame-rate"))
def bitrate(subject: Subject) -> str:
    """Is the bitrate, counted from real tokens or bytes, the declared one?"""
    nominal = subject.spec.nominal_bitrate_bps
    if nominal is None:
        raise DoesNotApply("no bitrate is declared")
    encoded = subject.encode(subject.voice)
    if not hasattr(encoded, "num_bits"):
        raise DoesNotApply("nothing is coded")
    duration_s = len(subject.voice) / subject.rate_hz
    measured = encoded.num_bits(0) / duration_s
    slack = _token_slack(encoded) / duration_s if isinstance(encoded, Tokens) else BITSTREAM_TOLERANCE * nominal
    said = f"measured {measured:.0f} bit/s over {duration_s:.1f} s, declared {nominal:.0f} bit/s"
    require(abs(measured - nominal) <= slack, said)
    return said


def _token_slack(tokens: Tokens) -> float:
    """Return the bits by which tokens may miss the nominal rate: one frame of each stream, all of a global one.

    Where frames stand for durations, the rate follows the content and the nominal one is only typical.
    """
    slack = 0.0
    for stream in tokens.streams:
        frame_bits, frames = sum(math.log2(size) for size in stream.codebook_sizes), int(stream.num_frames[0])
        share = BITSTREAM_TOLERANCE * frames if stream.durations is not None else 1.001
        slack += frame_bits * (frames if stream.frame_rate_hz == 0 else share)
        slack += 0.0 if stream.side_info_bits is None else float(stream.side_info_bits[0])
    return slack


@conformance_property("output-delay", needs=("waveform-format", "round-trip-length"))
def output_delay(subject: Subject) -> str:
    """Does the decoded speech lag the input by the declared number of samples?"""
    if subject.spec.encode_only:
        raise DoesNotApply("encode-only")
    out_hz = subject.spec.output_rate_hz(subject.spec.decode_modes[0].name, subject.rate_hz)
    reference = resample(subject.voice, subject.rate_hz, out_hz)
    output = subject.output(subject.voice).row(0).cpu().numpy()
    lag = measure_delay(reference, output, out_hz)
    match = correlation(*align(reference, output, lag))
    if abs(match) < LEAST_CORRELATION:
        raise DoesNotApply(f"the output does not follow the input's waveform (correlation {match:.2f})")
    declared = subject.spec.output_delay_samples
    said = f"measured {lag} samples at {out_hz} Hz on {subject.speech.source} speech, declared {declared}"
    require(abs(lag - declared) <= DELAY_TOLERANCE_S * out_hz, said)
    return said


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Return the correlation coefficient of two signals [T] about zero; 0 where one is silent."""
    power = float(np.sqrt(np.square(one, dtype=np.float64).sum() * np.square(other, dtype=np.float64).sum()))
    return float(np.dot(one.astype(np.float64), other.astype(np.float64))) / power if power > 0 else 0.0


RATES = (frame_rate, bitrate, output_delay)
