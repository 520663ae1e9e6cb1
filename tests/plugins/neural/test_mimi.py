"""Mimi against the upstream class, on checkpoints in the published layout."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from neural_checkpoints import write_mimi
from safetensors import safe_open
from transformers import MimiModel

from codecbench import Batch, Tokens, Unavailable, UsageError
from codecbench.loading import load, prepare
from codecbench.names import resolve
from codecbench.plugins import PluginHost
from codecbench_mimi import SPEC, SPEC_32, WEIGHTS, register_codecs
from codecbench_mimi.codec import MimiCodec, load_mimi

MakeBatch = Callable[..., Batch]


class _Plugin:
    register_codecs = staticmethod(register_codecs)


@pytest.fixture
def host() -> PluginHost:
    host = PluginHost()
    host.add(_Plugin, "mimi")
    return host


@pytest.fixture(scope="module")
def codec(mimi_folder: Path) -> MimiCodec:
    return load_mimi(SPEC, mimi_folder, "cpu")


@pytest.fixture(scope="module")
def upstream(mimi_folder: Path) -> MimiModel:
    return MimiModel.from_pretrained(mimi_folder).eval()


def codes_of(tokens: Tokens) -> torch.Tensor:
    return torch.cat([stream.codes for stream in tokens.streams], dim=1)


def test_checkpoint_has_the_published_layout(mimi_folder: Path) -> None:
    """kyutai/mimi on the hub: flat SEANet stacks, transformers and resamplers beside them, split quantizer."""
    with safe_open(mimi_folder / "model.safetensors", "pt") as weights:
        names = set(weights.keys())
    for name in ("encoder.layers.0.conv.weight", "encoder_transformer.layers.0.self_attn.q_proj.weight",
                 "downsample.conv.weight", "upsample.conv.weight", "decoder.layers.14.conv.weight",
                 "quantizer.semantic_residual_vector_quantizer.layers.0.codebook.embed_sum"):  # fmt: skip
        assert name in names


@pytest.mark.parametrize("num_frames", [1, 2, 13])
@torch.no_grad()
def test_codes_and_audio_are_the_upstream_models(
    codec: MimiCodec, upstream: MimiModel, noise_batch: MakeBatch, num_frames: int
) -> None:
    batch = noise_batch(24000, [1920 * num_frames])
    tokens = codec.encode(batch)
    expected = upstream.encode(batch.audio, num_quantizers=8).audio_codes
    assert torch.equal(codes_of(tokens), expected)
    assert torch.equal(codec.decode(tokens).audio, upstream.decode(expected).audio_values)


@pytest.mark.parametrize("length", [1, 1919, 1921, 20001])
@torch.no_grad()
def test_a_partial_frame_is_completed_with_zero_samples(
    codec: MimiCodec, upstream: MimiModel, noise_batch: MakeBatch, length: int
) -> None:
    batch = noise_batch(24000, [length])
    padded = torch.nn.functional.pad(batch.audio, (0, -length % 1920))
    codes = codes_of(codec.encode(batch))
    assert torch.equal(codes, upstream.encode(padded, num_quantizers=8).audio_codes)
    unpadded = upstream.encode(batch.audio, num_quantizers=8).audio_codes
    assert torch.equal(codes[..., :-1], unpadded[..., :-1]), "only the last frame may differ from unpadded encoding"
    waves = codec.decode(codec.encode(batch))
    assert waves.audio.shape == (1, 1, length)


def test_rows_of_any_length_share_a_batch(codec: MimiCodec, noise_batch: MakeBatch) -> None:
    lengths = [31000, 1, 1920, 12345]
    batch = noise_batch(24000, lengths)
    together = codec.encode(batch)
    for row, length in enumerate(lengths):
        alone = codec.encode(Batch(batch.audio[row : row + 1, :, :length], torch.tensor([length]), 24000))
        assert torch.equal(codes_of(alone), codes_of(together.row(row)))
        audio = codec.decode(alone).row(0)
        assert torch.allclose(codec.decode(together).row(row), audio, atol=1e-5 * float(audio.abs().max()))


def test_fewer_codebooks_are_a_prefix(mimi_folder: Path, codec: MimiCodec, noise_batch: MakeBatch) -> None:
    """`mimi:32@8` carries the codes of `mimi`, so encoding once and cutting is encoding with fewer codebooks."""
    batch = noise_batch(24000, [9000])
    full = load_mimi(SPEC_32, mimi_folder, "cpu").encode(batch)
    assert isinstance(full, Tokens)
    assert full.num_codebooks == 32
    assert torch.equal(codes_of(full.truncated(8)), codes_of(codec.encode(batch)))
    semantic_only = codec.decode(full.truncated(1))
    assert semantic_only.audio.shape == (1, 1, 9000)
    assert torch.isfinite(semantic_only.audio).all()


def test_a_prefix_of_the_input_gives_a_prefix_of_codes_and_audio(codec: MimiCodec, noise_batch: MakeBatch) -> None:
    batch = noise_batch(24000, [1920 * 9])
    changed = batch.audio.clone()
    changed[..., 1920 * 4 :] = noise_batch(24000, [1920 * 5], seed=7).audio
    one, two = codec.encode(batch), codec.encode(replace(batch, audio=changed))
    assert torch.equal(codes_of(one)[..., :4], codes_of(two)[..., :4])
    assert not torch.equal(codes_of(one)[..., 4:], codes_of(two)[..., 4:])
    heard = [codec.decode(tokens).audio[..., : 1920 * 4] for tokens in (one, two)]
    assert torch.equal(heard[0], heard[1])


def test_no_samples_give_no_frames(codec: MimiCodec) -> None:
    tokens = codec.encode(Batch(torch.zeros(1, 1, 0), torch.tensor([0]), 24000))
    assert codes_of(tokens).shape == (1, 8, 0)
    assert codec.decode(tokens).audio.shape == (1, 1, 0)


def test_names(host: PluginHost) -> None:
    assert resolve(host.registry, "mimi").spec.nominal_bitrate_bps == pytest.approx(1100)
    assert resolve(host.registry, "mimi:32").spec.nominal_bitrate_bps == pytest.approx(4400)
    assert resolve(host.registry, "mimi:8").label == resolve(host.registry, "mimi@8").label == "mimi"
    assert resolve(host.registry, "mimi:32@16").label == "mimi:32@16"
    with pytest.raises(UsageError, match="has 8 codebooks"):
        resolve(host.registry, "mimi@9")


def test_loads_from_a_folder_by_option_and_by_environment(
    host: PluginHost, mimi_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_option = prepare(host.registry, "mimi", {"mimi": {"weights": str(mimi_folder)}})
    monkeypatch.setenv("CODECBENCH_MIMI_WEIGHTS", str(mimi_folder))
    by_environment = prepare(host.registry, "mimi", {})
    assert by_option.unavailable is None
    assert by_option.encode_identity == by_environment.encode_identity
    assert len(by_option.encode_identity["weights_sha256"]) == 64
    assert load(by_environment).num_parameters() > 0


def test_other_weights_are_another_identity(host: PluginHost, mimi_folder: Path, tmp_path: Path) -> None:
    other = write_mimi(tmp_path, num_hidden_layers=1)
    identities = [
        prepare(host.registry, "mimi", {"mimi": {"weights": str(folder)}}).encode_identity
        for folder in (mimi_folder, other)
    ]
    assert identities[0]["weights_sha256"] != identities[1]["weights_sha256"]


def test_refuses_a_checkpoint_of_another_shape(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="codebook_size is 1024, expected 2048"):
        load_mimi(SPEC, write_mimi(tmp_path, codebook_size=1024), "cpu")
    with pytest.raises(Unavailable, match="has 8 codebooks, 'mimi:32' needs 32"):
        load_mimi(SPEC_32, write_mimi(tmp_path, num_quantizers=8), "cpu")


def test_refuses_a_checkpoint_with_missing_weights(mimi_folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(mimi_folder / "model.safetensors")
    del weights["upsample.conv.weight"]
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    (tmp_path / "config.json").write_bytes((mimi_folder / "config.json").read_bytes())
    with pytest.raises(Unavailable, match="lacks 1 weights of MimiModel"):
        load_mimi(SPEC, tmp_path, "cpu")


def test_another_models_folder_is_unavailable(host: PluginHost, mimi_folder: Path, tmp_path: Path) -> None:
    config = json.loads((mimi_folder / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "model_type": "encodec"}))
    (tmp_path / "model.safetensors").write_bytes(b"")
    problem = prepare(host.registry, "mimi", {"mimi": {"weights": str(tmp_path)}}).unavailable
    assert problem is not None
    assert "'encodec', not 'mimi'" in problem.reason
    assert WEIGHTS.family == "mimi"
