"""Properties of form: what the specification says of itself, of the tokens, and of the decoded audio."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from codecbench.conformance.properties import DoesNotApply, PropertyFails, conformance_property, require
from codecbench.conformance.subject import Subject
from codecbench.contracts.audio import Waveforms
from codecbench.contracts.codec import CapabilityError, CodecSpec, StreamSpec
from codecbench.contracts.encoded import Bitstream, Encoded, Tokens, TokenStream


@conformance_property("metadata")
def metadata(subject: Subject) -> str:
    """Does the specification say what a reader of a table must know, without contradicting itself?"""
    require(subject.codec.spec == subject.spec, "the codec's own spec is not the registered one")
    faults = list(_spec_faults(subject.spec))
    require(not faults, "; ".join(faults))
    return ""


def _spec_faults(spec: CodecSpec) -> Iterator[str]:
    if not spec.description.strip():
        yield "description is empty"
    if not spec.licence_code.strip():
        yield "licence_code is empty (write 'unknown' where it is)"
    if not spec.decode_modes and not spec.encode_only:
        yield "no decode_modes, and encode_only is not set"
    if spec.min_samples < 1:
        yield f"min_samples is {spec.min_samples}, at least 1 is meant"
    if spec.truncatable and spec.num_codebooks < 2:
        yield f"truncatable, but {spec.num_codebooks} codebooks are declared"
    if spec.streams and spec.bitrate_bps is not None:
        yield "bitrate_bps is set although streams declare the rate"
    if spec.streams and spec.sample_rate_hz is None and any(s.frame_rate_hz > 0 for s in spec.streams):
        yield "streams with a frame rate need a sample_rate_hz"
    if any(size < 2 for stream in spec.streams for size in stream.codebook_sizes):
        yield "a codebook has fewer than 2 entries"
    if spec.setup_bytes < 0:
        yield "setup_bytes is negative"
    if spec.algorithmic_delay_samples < 0:
        yield "algorithmic_delay_samples is negative"


@conformance_property("token-format")
def token_format(subject: Subject) -> str:
    """Do encoded utterances have the declared shapes, dtypes, lengths and ranges?"""
    lengths = (5 * subject.frame_samples + 7, 3 * subject.frame_samples)
    for row in (subject.cut(max(n, subject.spec.min_samples)) for n in lengths):
        encoded = subject.encode(row)
        require(encoded.num_samples.tolist() == [len(row)], f"num_samples is {encoded.num_samples.tolist()}")
        _check_encoded(subject.spec, encoded)
    return ""


def _check_encoded(spec: CodecSpec, encoded: Encoded) -> None:
    require(
        isinstance(encoded, Tokens) == bool(spec.streams),
        f"encode returned {type(encoded).__name__} while the specification declares {len(spec.streams)} streams",
    )
    if isinstance(encoded, Tokens):
        require(len(encoded.streams) == len(spec.streams), f"{len(encoded.streams)} streams")
        for stream, declared in zip(encoded.streams, spec.streams, strict=True):
            _check_stream(stream, declared)
    elif isinstance(encoded, Bitstream):
        require(len(encoded.payloads) == 1, f"{len(encoded.payloads)} payloads for one utterance")
        require(isinstance(encoded.payloads[0], bytes), "a payload is not bytes")
        too_many = encoded.bits is not None and encoded.bits[0] > 8 * len(encoded.payloads[0])
        require(not too_many, f"{encoded.bits} bits stated for {len(encoded.payloads[0])} bytes")
    else:
        _check_waveforms(encoded.waveforms, encoded.waveforms.sample_rate_hz)


def _check_stream(stream: TokenStream, declared: StreamSpec) -> None:
    where = f"stream '{stream.name}'"
    facts = (stream.name, stream.frame_rate_hz, tuple(stream.codebook_sizes))
    wanted = (declared.name, declared.frame_rate_hz, tuple(declared.codebook_sizes))
    require(facts == wanted, f"{where} is {facts}, declared is {wanted}")
    codes, books = stream.codes, len(declared.codebook_sizes)
    require(codes.dtype == torch.int64, f"{where}: codes are {codes.dtype}, int64 is meant")
    require(
        codes.dim() == 3 and codes.shape[:2] == (1, books), f"{where}: codes are {list(codes.shape)}, [1, {books}, F]"
    )
    frames = stream.num_frames.tolist()
    require(stream.num_frames.dtype == torch.int64 and len(frames) == 1, f"{where}: num_frames must be int64 [B]")
    require(0 <= frames[0] <= codes.shape[-1], f"{where}: num_frames {frames} of {codes.shape[-1]} frames")
    for book, size in enumerate(declared.codebook_sizes):
        used = codes[0, book, : frames[0]]
        outside = used.numel() and not 0 <= int(used.min()) <= int(used.max()) < size
        require(not outside, f"{where}: codebook {book} holds codes outside 0..{size - 1}")


@conformance_property("waveform-format")
def waveform_format(subject: Subject) -> str:
    """Is decoded audio finite float32 [B, 1, T] at the declared rate?"""
    if subject.spec.encode_only:
        raise DoesNotApply("encode-only")
    signal = subject.cut(max(4 * subject.frame_samples + 3, subject.spec.min_samples))
    mode = subject.spec.decode_modes[0].name
    _check_waveforms(subject.output(signal), subject.spec.output_rate_hz(mode, subject.rate_hz))
    return ""


def _check_waveforms(waves: Waveforms, sample_rate_hz: int) -> None:
    audio = waves.audio
    require(waves.sample_rate_hz == sample_rate_hz, f"{waves.sample_rate_hz} Hz, declared are {sample_rate_hz} Hz")
    require(audio.dtype == torch.float32, f"audio is {audio.dtype}, float32 is meant")
    require(audio.dim() == 3 and audio.shape[:2] == (1, 1), f"audio is {list(audio.shape)}, [B, 1, T] is meant")
    require(waves.num_samples.dtype == torch.int64, f"num_samples is {waves.num_samples.dtype}, int64 is meant")
    bad = int((~torch.isfinite(audio)).sum())
    require(bad == 0, f"{bad} of {audio.numel()} samples are NaN or infinite")


@conformance_property("decode-modes", needs=("waveform-format", "round-trip-length"))
def decode_modes(subject: Subject) -> str:
    """Does every declared decode mode return finite audio of the right rate and length?"""
    if subject.spec.encode_only:
        raise DoesNotApply("encode-only")
    signal = subject.cut(max(4 * subject.frame_samples + 3, subject.spec.min_samples))
    encoded = subject.encode(signal)
    for mode in subject.spec.decode_modes:
        waves = subject.decode(encoded, mode.name)
        try:
            _check_waveforms(waves, subject.spec.output_rate_hz(mode.name, subject.rate_hz))
        except PropertyFails as fault:
            raise PropertyFails(f"mode '{mode.name}': {fault}") from None
        length, expected = int(waves.num_samples[0]), subject.expected_length(len(signal), mode.name)
        require(length == expected, f"mode '{mode.name}': {length} samples, expected {expected}")
    return ", ".join(mode.name for mode in subject.spec.decode_modes)


@conformance_property("capabilities")
def capabilities(subject: Subject) -> str:
    """Does asking for a capability that is not declared end in a CapabilityError?"""
    asked = []
    if subject.spec.encode_only:
        asked.append("decode")
        encoded = subject.encode(subject.cut(max(2 * subject.frame_samples, subject.spec.min_samples)))
        _expect_refusal("encode_only is declared, but decode", lambda: subject.codec.decode(encoded))
    if not subject.spec.streaming:
        asked.append("stream")
        _expect_refusal("streaming is not declared, but stream", lambda: subject.codec.stream())
    if not asked:
        raise DoesNotApply("everything is declared")
    return ""


def _expect_refusal(what: str, call: object) -> None:
    try:
        call()  # type: ignore[operator]
    except CapabilityError:
        return
    except Exception as error:
        raise PropertyFails(f"{what} raises {type(error).__name__} instead of CapabilityError: {error}") from error
    raise PropertyFails(f"{what} works all the same: declare it, or raise CapabilityError")


@conformance_property("truncation", needs=("token-format", "waveform-format", "round-trip-length"))
def truncation(subject: Subject) -> str:
    """Can tokens cut to their first 1 to K codebooks be decoded?"""
    if not subject.spec.truncatable:
        raise DoesNotApply("truncatable is not declared")
    if subject.spec.encode_only:
        raise DoesNotApply("encode-only")
    signal = subject.cut(max(6 * subject.frame_samples, subject.spec.min_samples))
    encoded = subject.encode(signal)
    assert isinstance(encoded, Tokens)
    total = encoded.num_codebooks
    counts = sorted({1, 2, 3, total // 2, total - 1, total} & set(range(1, total + 1)))
    for kept in counts:
        try:
            waves = subject.decode(encoded.truncated(kept))
        except Exception as error:
            raise PropertyFails(f"with {kept} of {total} codebooks: {type(error).__name__}: {error}") from error
        length, expected = int(waves.num_samples[0]), subject.expected_length(len(signal))
        require(length == expected, f"with {kept} of {total} codebooks: {length} samples, expected {expected}")
        require(bool(torch.isfinite(waves.audio).all()), f"with {kept} of {total} codebooks: audio is not finite")
    return f"1 to {total}, tried {', '.join(map(str, counts))}"


FORMATS = (metadata, token_format, waveform_format, capabilities)
DECODINGS = (decode_modes, truncation)
