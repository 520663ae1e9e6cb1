"""EnCodec against the upstream class, on checkpoints in the published layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from neural_checkpoints import write_encodec
from transformers import EncodecModel

from codecbench import Batch, Tokens, Unavailable
from codecbench.loading import prepare
from codecbench.names import resolve
from codecbench.plugins import PluginHost
from codecbench_encodec import SPEC, SPEC_32, register_codecs
from codecbench_encodec.codec import EncodecCodec, load_encodec

MakeBatch = Callable[..., Batch]


@pytest.fixture(scope="module")
def codec(encodec_folder: Path) -> EncodecCodec:
    return load_encodec(SPEC, encodec_folder, "cpu")


@pytest.fixture(scope="module")
def upstream(encodec_folder: Path) -> EncodecModel:
    return EncodecModel.from_pretrained(encodec_folder).eval()


def codes_of(encoded: object) -> torch.Tensor:
    assert isinstance(encoded, Tokens)
    return encoded.streams[0].codes


@pytest.mark.parametrize("num_frames", [1, 3, 40])
@torch.no_grad()
def test_codes_and_audio_are_the_upstream_models(
    codec: EncodecCodec, upstream: EncodecModel, noise_batch: MakeBatch, num_frames: int
) -> None:
    batch = noise_batch(24000, [320 * num_frames])
    expected = upstream.encode(batch.audio, bandwidth=6.0).audio_codes
    tokens = codec.encode(batch)
    assert torch.equal(codes_of(tokens), expected[0])
    assert len(codes_of(tokens).unique()) > 4
    assert torch.equal(codec.decode(tokens).audio, upstream.decode(expected, [None]).audio_values)


@torch.no_grad()
def test_only_the_last_partial_frame_may_differ_from_unpadded_encoding(
    codec: EncodecCodec, upstream: EncodecModel, noise_batch: MakeBatch
) -> None:
    batch = noise_batch(24000, [320 * 30 + 11])
    unpadded = upstream.encode(batch.audio, bandwidth=6.0).audio_codes[0]
    codes = codes_of(codec.encode(batch))
    assert codes.shape == unpadded.shape
    assert torch.equal(codes[..., :-1], unpadded[..., :-1])


def test_rows_of_any_length_share_a_batch_even_very_short_ones(codec: EncodecCodec, noise_batch: MakeBatch) -> None:
    """Three frames are fewer than the model mirrors at the start of an utterance."""
    lengths = [9000, 3 * 320, 5, 2300]
    batch = noise_batch(24000, lengths)
    together = codec.encode(batch)
    assert isinstance(together, Tokens)
    for row, length in enumerate(lengths):
        alone = codec.encode(Batch(batch.audio[row : row + 1, :, :length], torch.tensor([length]), 24000))
        assert torch.equal(codes_of(alone), codes_of(together.row(row)))
        audio = codec.decode(alone).row(0)
        assert torch.allclose(codec.decode(together).row(row), audio, atol=1e-5 * float(audio.abs().max()))


def test_fewer_codebooks_are_a_prefix(encodec_folder: Path, codec: EncodecCodec, noise_batch: MakeBatch) -> None:
    batch = noise_batch(24000, [5000])
    full = load_encodec(SPEC_32, encodec_folder, "cpu").encode(batch)
    assert isinstance(full, Tokens)
    assert full.num_codebooks == 32
    assert torch.equal(codes_of(full.truncated(8)), codes_of(codec.encode(batch)))


def test_names_and_availability(encodec_folder: Path) -> None:
    host = PluginHost()
    host.add(type("Plugin", (), {"register_codecs": staticmethod(register_codecs)}), "encodec")
    assert resolve(host.registry, "encodec").spec.nominal_bitrate_bps == 6000
    assert resolve(host.registry, "encodec:32").spec.nominal_bitrate_bps == 24000
    found = prepare(host.registry, "encodec@2", {"encodec": {"weights": str(encodec_folder)}})
    assert found.unavailable is None
    assert found.decode_identity["codebooks"] == 2


def test_refuses_the_48_khz_model(tmp_path: Path) -> None:
    folder = write_encodec(tmp_path, normalize=True, chunk_length_s=1.0, overlap=0.01)
    with pytest.raises(Unavailable, match="normalize is True, expected False; chunk_length_s is 1"):
        load_encodec(SPEC, folder, "cpu")
