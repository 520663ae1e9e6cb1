"""Lyra V2 with its published weights: figures measured before, nested rates, no memory between utterances."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from codec_testing import batch_of, host, open_named, round_trip, speech

from codecbench import Codec, Tokens
from codecbench.audio.delay import measure_delay
from codecbench.loading import prepare

pytest.importorskip("ai_edge_litert")

LYRA = "codecbench_lyra"


@pytest.fixture(scope="module")
def weights(shared_dir: Path) -> str:
    """The folder with the weights; skips where it is absent."""
    folder = shared_dir / "weights" / "lyra"
    if not (folder / "lyragan.tflite").is_file():
        pytest.skip(f"no Lyra weights in {folder}")
    return str(folder)


@pytest.fixture(scope="module")
def codecs(weights: str) -> dict[str, Codec]:
    """All rates."""
    names = ("9.2kbps", "6kbps", "3.2kbps")
    return {name: open_named(LYRA, f"lyra:{name}", {"lyra": {"weights": weights}}) for name in names}


def test_any_length_comes_back(codecs: dict[str, Codec]) -> None:
    for length in (0, 1, 319, 320, 321, 4001):
        encoded, decoded = round_trip(codecs["9.2kbps"], speech(16000)[:length], 16000)
        assert isinstance(encoded, Tokens)
        assert len(decoded) == length
        assert encoded.num_bits(0) == 46 * 4 * -(-length // 320)


@pytest.mark.parametrize(
    ("rate", "pesq_wb", "stoi"), [("9.2kbps", 3.16, 0.957), ("6kbps", 2.91, 0.948), ("3.2kbps", 2.37, 0.923)]
)
def test_quality_is_as_measured_elsewhere(codecs: dict[str, Codec], rate: str, pesq_wb: float, stoi: float) -> None:
    """Figures of a run over 29 clips of which these five are a part: within 0.25 PESQ and 0.05 STOI."""
    from pesq import pesq
    from pystoi import stoi as measure_stoi

    clips = [speech(16000, 8.0, clip) for clip in range(5)]
    pairs = [(clip, round_trip(codecs[rate], clip, 16000)[1]) for clip in clips]
    assert np.mean([pesq(16000, *pair, "wb") for pair in pairs]) == pytest.approx(pesq_wb, abs=0.25)
    assert np.mean([measure_stoi(*pair, 16000) for pair in pairs]) == pytest.approx(stoi, abs=0.05)
    assert max(abs(measure_delay(*pair, 16000)) for pair in pairs) <= 2


def test_lower_rates_are_the_first_codebooks_of_higher_ones(codecs: dict[str, Codec]) -> None:
    batch = batch_of(speech(16000, 1.0), sample_rate_hz=16000)
    full = codecs["9.2kbps"].encode(batch)
    assert isinstance(full, Tokens)
    for rate, count in (("6kbps", 30), ("3.2kbps", 16)):
        part = codecs[rate].encode(batch)
        assert isinstance(part, Tokens)
        assert np.array_equal(part.streams[0].codes, full.truncated(count).streams[0].codes)
        one, other = codecs[rate].decode(part), codecs["9.2kbps"].decode(full.truncated(count))
        assert np.array_equal(one.audio, other.audio)


def test_an_utterance_does_not_hear_the_one_before(codecs: dict[str, Codec]) -> None:
    codec, first, second = codecs["3.2kbps"], speech(16000, 0.7), speech(16000, 1.1, clip=1)
    alone = round_trip(codec, second, 16000)
    together = codec.encode(batch_of(first, second, sample_rate_hz=16000))
    assert isinstance(together, Tokens)
    assert isinstance(alone[0], Tokens)
    assert np.array_equal(together.row(1).streams[0].codes, alone[0].streams[0].codes)
    assert np.array_equal(codec.decode(together).row(1), alone[1])


def test_missing_and_wrong_weights_are_told(tmp_path: Path, weights: str) -> None:
    registry = host(LYRA).registry
    assert "--set lyra.weights=FOLDER" in str(prepare(registry, "lyra", {}).unavailable)
    settings = {"lyra": {"weights": str(tmp_path)}}
    assert "lack" in str(prepare(registry, "lyra", settings).unavailable)
    for file in Path(weights).glob("*.tflite"):
        (tmp_path / file.name).write_bytes(file.read_bytes() + b"\0")
    assert "is not that of Lyra v1.3.2" in str(prepare(registry, "lyra", settings).unavailable)
