"""What the training forward hands to the losses, and where gradients go."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor, nn

from codecbench_lmspt import LMSPT, load_preset
from codecbench_lmspt.training import TrainingOutput


def build(overrides: dict[str, object] | None = None, preset: str = "tiny") -> LMSPT:
    torch.manual_seed(0)
    return LMSPT(load_preset(preset, {"quantizer.start_step": 0, **(overrides or {})}))


def speechlike(rows: int, samples: int, seed: int = 0) -> Tensor:
    """Harmonic tones with changing pitch and loudness."""
    generator = torch.Generator().manual_seed(seed)
    pitch = 80 + 160 * torch.rand(rows, 1, 1 + samples // 4000, generator=generator)
    loudness = torch.rand(rows, 1, 1 + samples // 2000, generator=generator)
    pitch = nn.functional.interpolate(pitch, samples, mode="linear")
    phase = 2 * torch.pi * pitch.cumsum(-1) / 16_000
    tone = torch.stack([(k * phase).sin() / k for k in range(1, 9)]).sum(0)
    return 0.2 * nn.functional.interpolate(loudness, samples, mode="linear") * tone


def forward(model: LMSPT, audio: Tensor, step: int = 0, num_samples: Tensor | None = None) -> TrainingOutput:
    return model.training_forward(
        audio, num_samples=num_samples, step=step, sample_index=torch.arange(len(audio)), seed=1
    )


def has_gradient(module: nn.Module) -> bool:
    return any(p.grad is not None and bool(p.grad.any()) for p in module.parameters())


@pytest.mark.parametrize("samples", [16_000, 16_001, 12_799])
def test_shapes_for_any_length(samples: int) -> None:
    model = build({"training.distillation_head_dim": 20})
    out = forward(model, speechlike(2, samples))
    frames = -(-samples // model.hop_samples)
    assert out.reconstruction.shape == (2, 1, samples)
    assert out.semantic_resynthesis.shape == (2, 1, samples)
    assert out.semantic_resynthesis_rate_hz == 16_000
    assert out.semantic_latent.shape == (2, 32, frames)
    assert out.semantic_features is not None
    assert out.semantic_features.shape == (2, frames, 20)
    assert out.codes.shape == (2, 4, frames)
    assert dict(out.commitment.items()).keys() == {"semantic", "acoustic"}
    assert out.commitment.acoustic.shape == (2,)


def test_a_padded_row_trains_like_the_row_alone() -> None:
    model = build().double()
    audio = speechlike(2, 20_000).double()
    lengths = torch.tensor([20_000, 7_000])
    forward(model, audio)  # start the codebooks
    model.eval()
    both = model.training_forward(
        audio, num_samples=lengths, step=1, sample_index=torch.arange(2), seed=1, update_codebooks=False
    )
    alone = model.training_forward(
        audio[1:, :, :7000], step=1, sample_index=torch.tensor([1]), seed=1, update_codebooks=False
    )
    torch.testing.assert_close(both.commitment.acoustic[1], alone.commitment.acoustic[0])
    torch.testing.assert_close(both.reconstruction[1, :, :7000], alone.reconstruction[0])


def test_reconstruction_reaches_everything_but_the_auxiliary_decoder() -> None:
    model = build()
    forward(model, speechlike(4, 16_000)).reconstruction.square().sum().backward()
    assert model.acoustic_encoder is not None
    assert model.aux_decoder is not None
    assert all(map(has_gradient, (model.semantic_encoder, model.acoustic_encoder, model.decoder)))
    assert not has_gradient(model.aux_decoder)


def test_resynthesis_reaches_the_semantic_side_alone() -> None:
    model = build()
    forward(model, speechlike(4, 16_000)).semantic_resynthesis.square().sum().backward()
    assert model.acoustic_encoder is not None
    assert model.aux_decoder is not None
    assert has_gradient(model.semantic_encoder)
    assert has_gradient(model.aux_decoder)
    assert not has_gradient(model.acoustic_encoder)
    assert not has_gradient(model.decoder)


def test_stop_gradient_keeps_reconstruction_off_the_semantic_encoder() -> None:
    model = build({"training.stop_semantic_gradient": True})
    forward(model, speechlike(4, 16_000)).reconstruction.square().sum().backward()
    assert not has_gradient(model.semantic_encoder)
    assert has_gradient(model.decoder)


def test_shared_decoder_with_and_without_gradient_to_it() -> None:
    for aux_gradient in (True, False):
        model = build({"aux_decoder": "none", "training.aux_gradient": aux_gradient})
        forward(model, speechlike(4, 16_000)).semantic_resynthesis.square().sum().backward()
        assert has_gradient(model.decoder) == aux_gradient
        assert has_gradient(model.semantic_encoder)


def test_one_encoder_feeds_both_streams() -> None:
    model = build({"encoders": 1})
    assert model.acoustic_encoder is None
    out = forward(model, speechlike(2, 16_000))
    (out.reconstruction.square().sum() + out.commitment.acoustic.sum()).backward()
    assert has_gradient(model.semantic_encoder)
    assert model.encode(speechlike(1, 16_000)).shape == (1, 4, 13)


def test_no_gradient_means_no_learning_of_codebooks() -> None:
    model = build()
    with torch.no_grad():
        forward(model, speechlike(2, 16_000))
    assert not model.quantizer.semantic_vocab_usage.any()
    assert model.quantizer.rvq_first.books[0].codebook.ema is not None
    assert not model.quantizer.rvq_first.books[0].codebook.ema.is_started()


def test_every_trainable_parameter_gets_a_gradient_each_step() -> None:
    """As DistributedDataParallel needs it."""
    for overrides in ({}, {"quantizer.update": "gradient", "quantizer.projection": "per-book"}):
        model = build({**overrides, "training.codebook_dropout": 1.0, "training.semantic_only_share": 1.0})
        out = forward(model, speechlike(2, 16_000))
        losses = [loss.mean() for pair in (out.commitment, out.codebook) for _, loss in pair.items()]
        total = out.reconstruction.square().mean() + out.semantic_resynthesis.square().mean() + sum(losses)
        total.backward()
        missing = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
        assert missing == []


def test_before_their_start_codebooks_are_passed_by() -> None:
    model = build({"quantizer.start_step": 3})
    audio = speechlike(2, 16_000)
    out = forward(model, audio, step=2)
    assert not out.codes.any()
    assert not out.commitment.acoustic.any()
    assert all(int(counts.sum()) == 0 for counts in out.usage.counts)
    latent = model.quantizer.rvq_first.in_proj(model.latents(nn.functional.pad(audio, (0, 640)), None)[0].mT)
    torch.testing.assert_close(out.semantic_latent.mT, model.quantizer.rvq_first.out_proj(latent))
    assert forward(model, audio, step=3).codes.any()


def test_weight_decay_leaves_gains_norms_and_codebooks_alone() -> None:
    model = build(preset="release", overrides={"encoder.channels": 4, "latent_width": 8, "decoder.channels": 32})
    spared = model.no_decay_parameter_names()
    assert "quantizer.rvq_first.quantizers.0.codebook.weight" in spared
    assert "semantic_encoder.block.0.weight_g" in spared
    assert "semantic_encoder.block.1.block.3.alpha" in spared
    assert "semantic_encoder.block.0.weight_v" not in spared


def real_speech() -> Tensor:
    folder = Path(__file__).resolve().parents[3] / "plugins" / "codecbench_corpora" / "data" / "builtin"
    return torch.from_numpy(
        np.concatenate([soundfile.read(f, dtype="float32")[0] for f in sorted(folder.glob("*.flac"))])
    )


def test_training_lowers_the_error_and_more_codebooks_lower_it_further() -> None:
    """Some hundred steps on a log-spectral loss, the rate falling at the end; then every further codebook helps."""
    model = build({"training.semantic_only_share": 0.3, "quantizer.start_step": 60})
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    window, pool = torch.hann_window(400), real_speech()

    def crops(rows: int, seed: int) -> Tensor:
        starts = torch.randint(0, len(pool) - 12_800, (rows,), generator=torch.Generator().manual_seed(seed))
        return torch.stack([pool[start : start + 12_800] for start in starts.tolist()])[:, None]

    def spectrum(audio: Tensor) -> Tensor:
        return (torch.stft(audio[:, 0], 400, 160, window=window, return_complex=True).abs() + 1e-2).log()

    held_out, steps = crops(64, seed=1000), 260

    def errors() -> list[float]:
        model.eval()
        codes = model.encode(held_out)
        found = [float((spectrum(model.decode(codes[:, :k])) - spectrum(held_out)).abs().mean()) for k in (1, 2, 3, 4)]
        model.train()
        return found

    before = errors()[-1]
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 3e-3 * min(1.0, (1.03 - step / steps) / 0.3)
        audio = crops(8, step)
        out = forward(model, audio, step)
        error = (spectrum(out.reconstruction) - spectrum(audio)).abs().mean()
        loss = 15 * error + 0.25 * (out.commitment.semantic.mean() + out.commitment.acoustic.mean())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    by_books = errors()
    assert by_books[-1] < 0.75 * before
    assert by_books[1] < 0.99 * by_books[0]
    assert all(after < fewer for fewer, after in pairwise(by_books)), by_books
    codes = model.encode(held_out)
    used = [len(codes[:, k].unique()) / size for k, size in enumerate(model.codebook_sizes)]
    assert min(used) > 0.7, used
