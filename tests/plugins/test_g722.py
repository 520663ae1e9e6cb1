"""Raw G.722 decoding: against an encoder, against the `ffmpeg` command, and what a damaged file says."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

av = pytest.importorskip("av", reason="needs PyAV: pip install 'codecbench[classical]'")

from codecbench_corpora.g722 import G722DecodeError, decode_g722, read_g722  # noqa: E402

DATA = Path(__file__).resolve().parents[2] / "plugins" / "codecbench_corpora" / "data"
SOUNDS = Path("/usr/share/asterisk/sounds")


@pytest.fixture
def speech() -> np.ndarray:
    samples, _ = soundfile.read(DATA / "builtin" / "librivox-sense-0880.flac", dtype="int16")
    return samples[: samples.size // 640 * 640]


@pytest.fixture
def encoded(tmp_path: Path, speech: np.ndarray) -> Path:
    path = tmp_path / "speech.g722"
    codec = av.CodecContext.create("g722", "w")
    codec.sample_rate, codec.layout, codec.format = 16_000, "mono", "s16"
    packets = []
    for start in range(0, speech.size, 640):
        frame = av.AudioFrame.from_ndarray(speech[None, start : start + 640], format="s16", layout="mono")
        frame.sample_rate, frame.pts = 16_000, start
        packets += [bytes(packet) for packet in codec.encode(frame)]
    packets += [bytes(packet) for packet in codec.encode(None)]
    path.write_bytes(b"".join(packets))
    return path


def test_decoded_speech_is_the_encoded_one_at_64_kbit_per_second(encoded: Path, speech: np.ndarray) -> None:
    decoded = decode_g722(encoded)
    assert decoded.dtype == np.int16
    assert decoded.size == 2 * encoded.stat().st_size
    # 22 samples: the delay of the two QMF filters (24 taps) of ITU-T G.722.
    delay = 22
    reference = speech[: decoded.size].astype(np.float64)[:-delay]
    error = decoded.astype(np.float64)[delay : delay + reference.size] - reference
    assert 10 * np.log10(np.sum(reference**2) / np.sum(error**2)) > 20.0
    np.testing.assert_array_equal(read_g722(encoded), decoded.astype(np.float32) / 32_768)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg command")
def test_samples_are_those_of_the_ffmpeg_command(encoded: Path) -> None:
    command = ["ffmpeg", "-v", "error", "-f", "g722", "-i", str(encoded), "-f", "s16le", "-"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    np.testing.assert_array_equal(decode_g722(encoded), np.frombuffer(raw, dtype="<i2"))


@pytest.mark.skipif(not SOUNDS.is_dir(), reason="Debian's asterisk-core-sounds-*-g722 are not installed")
def test_builtin_corpus_is_the_packages_samples() -> None:
    checked = 0
    for line in (DATA / "builtin" / "manifest.jsonl").read_text(encoding="utf-8").splitlines():
        utterance = json.loads(line)
        path = SOUNDS / utterance["source"].split(": ")[1]
        if path.suffix == ".g722" and path.is_file():
            samples, _ = soundfile.read(DATA / "builtin" / utterance["audio"], dtype="int16")
            np.testing.assert_array_equal(samples, decode_g722(path), err_msg=utterance["id"])
            checked += 1
    assert checked or not any(SOUNDS.rglob("*.g722"))


def test_missing_and_empty_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(G722DecodeError, match=r"absent\.g722 does not exist"):
        decode_g722(tmp_path / "absent.g722")
    (tmp_path / "empty.g722").touch()
    with pytest.raises(G722DecodeError, match=r"empty\.g722 is empty"):
        decode_g722(tmp_path / "empty.g722")


def test_one_byte_is_two_samples(tmp_path: Path) -> None:
    (tmp_path / "byte.g722").write_bytes(b"\x80")
    assert decode_g722(tmp_path / "byte.g722").shape == (2,)
