"""Audio files that lie: whatever their headers claim, reading ends soon, in little memory, with audio or BadInput."""

from __future__ import annotations

import os
import struct
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from codecbench import BadInput, UsageError, Utterance
from codecbench.audio.reading import MAX_DURATION_ENV, read_audio, stated_duration_s
from codecbench.runner.utterances import scan

RATE_HZ = 8000
# Decoding block of a mono file twice (as read and averaged), and what libsndfile and the caller need.
MEMORY_LIMIT = 32 << 20
FORMATS = {"wav": ("WAV", "PCM_16"), "flac": ("FLAC", "PCM_16"), "ogg": ("OGG", "VORBIS"), "au": ("AU", "PCM_16"),
           "aiff": ("AIFF", "PCM_16"), "w64": ("W64", "PCM_16")}  # fmt: skip


def write(path: Path, samples: np.ndarray) -> Path:
    kind, subtype = FORMATS[path.suffix[1:]]
    soundfile.write(path, samples, RATE_HZ, format=kind, subtype=subtype)
    return path


def read(path: Path) -> np.ndarray | None:
    """Read as the codec worker does; None stands for BadInput. Any other exception fails the test."""
    try:
        audio, rate_hz = read_audio(Utterance("u", path))
    except BadInput:
        return None
    assert audio.dtype == np.float32
    assert audio.ndim == 1
    assert np.isfinite(audio).all()
    assert rate_hz >= 1000
    return audio


@contextmanager
def bounded(seconds: float = 10.0, memory: int = MEMORY_LIMIT) -> Iterator[None]:
    tracemalloc.start()
    start = time.monotonic()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < memory
        assert time.monotonic() - start < seconds
    finally:
        tracemalloc.stop()


def tone(seconds: float = 0.05) -> np.ndarray:
    return 0.3 * np.sin(np.arange(int(RATE_HZ * seconds)) * 0.2)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_damaged_file_gives_audio_or_a_reason(tmp_path: Path, suffix: str) -> None:
    data = write(tmp_path / f"a.{suffix}", tone()).read_bytes()
    rng = np.random.default_rng(len(suffix))
    target = tmp_path / f"damaged.{suffix}"
    refused = 0
    with bounded():
        for attempt in range(120):
            damaged = bytearray(data)
            if attempt % 3 == 0:
                del damaged[rng.integers(len(data)) :]
            for place in rng.integers(0, 64 if attempt % 3 == 1 else len(data), 6):
                if place < len(damaged):
                    damaged[place] = rng.choice([0, 1, 127, 128, 255])
            target.write_bytes(damaged)
            refused += read(target) is None
    assert refused > 0


def claim_riff(data: bytearray) -> None:
    """Let the chunk of samples, and all around it, claim 4 GiB: 37 hours."""
    data[4:8] = b"\xff" * 4
    place = data.index(b"data") + 4
    data[place : place + 4] = b"\xff\xff\xff\xfe"


def claim_au(data: bytearray) -> None:
    data[8:12] = b"\x7f" + b"\xff" * 3


def claim_aiff(data: bytearray) -> None:
    place = data.index(b"COMM") + 8
    data[place + 2 : place + 6] = b"\x7f" + b"\xff" * 3
    place = data.index(b"SSND") + 4
    data[place : place + 4] = b"\x7f" + b"\xff" * 3


def claim_w64(data: bytearray) -> None:
    place = data.index(b"data", 40) + 16
    data[place : place + 8] = struct.pack("<Q", 1 << 50)


def claim_flac(data: bytearray, samples: int = (1 << 36) - 1) -> None:
    """Set the 36 bits of STREAMINFO that count samples."""
    data[21] = (data[21] & 0xF0) | samples >> 32
    data[22:26] = struct.pack(">I", samples & 0xFFFFFFFF)


def claim_ogg(data: bytearray) -> None:
    """Set the granule position of the last page, which is where the length is taken from."""
    page = data.rindex(b"OggS")
    data[page + 6 : page + 14] = struct.pack("<q", 1 << 50)
    data[page + 22 : page + 26] = bytes(4)
    data[page + 22 : page + 26] = struct.pack("<I", ogg_checksum(data[page:]))


def ogg_checksum(page: bytearray) -> int:
    """CRC-32 of RFC 3533: polynomial 0x04c11db7, not reflected, from 0."""
    value = 0
    for byte in page:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1) ^ (0x04C11DB7 if value & 0x80000000 else 0)
        value &= 0xFFFFFFFF
    return value


CLAIMS: dict[str, Callable[[bytearray], None]] = {
    "wav": claim_riff, "au": claim_au, "aiff": claim_aiff, "w64": claim_w64, "flac": claim_flac, "ogg": claim_ogg,
}  # fmt: skip


@pytest.mark.parametrize("suffix", CLAIMS)
def test_hours_claimed_in_a_small_file_are_not_believed(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a.{suffix}", tone())
    data = bytearray(path.read_bytes())
    CLAIMS[suffix](data)
    path.write_bytes(data)
    assert len(data) < 8192
    with bounded():
        audio = read(path)
        (planned,) = scan([Utterance("u", path)])
    assert audio is None or len(audio) <= 2 * len(tone())
    assert planned.duration_s < 3600


@pytest.fixture(scope="module")
def silence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hours of silence in a file of some hundred kilobytes."""
    path = tmp_path_factory.mktemp("bomb") / "silence.flac"
    with soundfile.SoundFile(path, "w", RATE_HZ, 1, format="FLAC", subtype="PCM_16") as file:
        minute = np.zeros(60 * RATE_HZ, np.int16)
        for _ in range(120):
            file.write(minute)
    assert path.stat().st_size < 1 << 20
    return path


def test_hours_of_silence_in_a_small_file_are_refused_before_they_are_decoded(silence: Path) -> None:
    with bounded(), pytest.raises(BadInput, match=rf"2 h long, the limit is 3600 s \(1 h\).*{MAX_DURATION_ENV}"):
        read_audio(Utterance("u", silence))
    with bounded(), pytest.raises(BadInput, match="2 h long"):
        stated_duration_s(silence)


@pytest.mark.parametrize(("claimed", "reason"), [(0, "does not state its length"), (100, "")])
def test_what_the_header_does_not_tell_is_not_decoded(silence: Path, tmp_path: Path, claimed: int, reason: str) -> None:
    data = bytearray(silence.read_bytes())
    claim_flac(data, claimed)
    (path := tmp_path / "lying.flac").write_bytes(data)
    with bounded():
        if reason:
            with pytest.raises(BadInput, match=reason):
                read_audio(Utterance("u", path))
        else:
            audio = read(path)
            assert audio is None or len(audio) <= claimed


def test_decoding_stops_at_the_limit_whatever_was_claimed(silence: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codecbench.audio.reading._check_claims", lambda file, name: None)
    monkeypatch.setenv(MAX_DURATION_ENV, "300")
    with bounded(), pytest.raises(BadInput, match=r"more than 0\.083 h long, the limit is 300 s"):
        read_audio(Utterance("u", silence))


def test_the_limit_is_an_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.wav", tone(2.0))
    assert read(path) is not None
    monkeypatch.setenv(MAX_DURATION_ENV, "1.5")
    assert read(path) is None
    for wrong in ("soon", "-1", "0", "inf", "nan"):
        monkeypatch.setenv(MAX_DURATION_ENV, wrong)
        with pytest.raises(UsageError, match="expected a number of seconds above 0"):
            read_audio(Utterance("u", path))


@pytest.mark.parametrize(("rate_hz", "channels"), [(1, 1), (1 << 31, 1), (0, 1), (RATE_HZ, 0), (RATE_HZ, 1000)])
def test_impossible_rates_and_channels_are_refused(tmp_path: Path, rate_hz: int, channels: int) -> None:
    data = bytearray(write(tmp_path / "a.wav", tone()).read_bytes())
    place = data.index(b"fmt ") + 8
    data[place + 2 : place + 8] = struct.pack("<HI", channels, rate_hz)
    data[place + 8 : place + 14] = struct.pack("<IH", min(rate_hz * channels * 2, 2**32 - 1), 2 * channels)
    (tmp_path / "a.wav").write_bytes(data)
    with bounded():
        assert read(tmp_path / "a.wav") is None


def test_what_is_no_regular_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "loop.wav").symlink_to(tmp_path / "loop.wav")
    (tmp_path / "zero.wav").symlink_to("/dev/zero")
    names = ["pipe.wav", "folder.wav", "loop.wav", "zero.wav", "missing.wav", "n" * 5000 + ".wav", "nul\0.wav"]
    with bounded():
        for name in names:
            assert read(tmp_path / name) is None
            (planned,) = scan([Utterance("u", tmp_path / name)])
            assert planned.duration_s == 0.0
        (planned,) = scan([Utterance("u", tmp_path / "pipe.wav", duration_s=1.0)])
        assert planned.audio_sha256.startswith("unreadable")
