"""The linear path of the mini presets: a transform and its inverse before anything is trained."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from codecbench_lmspt import LMSPT, load_preset
from codecbench_lmspt.flow import Flow
from codecbench_lmspt.linear_path import BandsToLatent, LatentToBands, block_cosines, mel_hats


def test_cosines_are_orthonormal_and_begin_with_the_mean() -> None:
    rows = block_cosines(8, 64, 256)
    torch.testing.assert_close(rows @ rows.T, torch.eye(256), rtol=0, atol=3e-6)
    torch.testing.assert_close(rows[0], torch.full((512,), 512**-0.5))
    # The second is the tilt over the bands: the same in every frame, falling from the lowest band to the highest.
    tilt = rows[1].view(8, 64)
    torch.testing.assert_close(tilt, tilt[:1].expand(8, 64))
    assert (tilt[0].diff() < 0).all()


def test_a_small_block_leaves_the_other_coefficients_empty() -> None:
    rows = block_cosines(2, 3, 9)
    torch.testing.assert_close(rows @ rows.T, torch.diag(torch.tensor([1.0] * 6 + [0.0] * 3)), rtol=0, atol=1e-6)


@pytest.mark.parametrize("bands", [24, 64])
def test_hats_interpolate_and_miss_no_bin(bands: int) -> None:
    hats = mel_hats(321, bands, 16_000)
    torch.testing.assert_close(hats.sum(dim=1), torch.ones(321))
    assert (hats.sum(dim=0) > 0).all()
    assert ((hats > 0).sum(dim=1) <= 2).all()


def test_all_coefficients_bring_smooth_spectra_back() -> None:
    bins, bands, frames = 321, 24, 4
    inward, outward = (path(bins, bands, frames, frames * bands, 16_000) for path in (BandsToLatent, LatentToBands))
    levels = torch.randn(2, 12, 3, generator=torch.Generator().manual_seed(0)) - 6
    smooth = torch.nn.functional.interpolate(levels.flatten(0, 1)[:, None], bins, mode="linear")[:, 0].view(2, 12, bins)
    with torch.no_grad():
        back = outward(inward(smooth))
    assert back.shape == smooth.shape
    assert (back - smooth).abs().mean() < 0.06


@pytest.mark.parametrize("preset", ["mini-25hz", "mini-12.5hz", "mini-6.25hz"])
def test_an_untrained_model_already_passes_smoothed_speech(preset: str, speech: Tensor) -> None:
    model = LMSPT(load_preset(preset)).eval()
    audio = speech[None, :, : speech.shape[1] // model.hop_samples * model.hop_samples]
    with torch.no_grad():
        latent, other = model.latents(audio, None)
        assert torch.equal(latent, other)  # the networks begin as zero
        stream = model.quantizer.rvq_first
        kept = stream.out_proj(stream.in_proj(latent.transpose(1, 2))).transpose(1, 2)
        width = model.spec.quantizer.code_width
        torch.testing.assert_close(kept[:, :width], latent[:, :width])
        assert not kept[:, width:].any()
        again = model.latents(model.decoder(latent, Flow()), None)[0]
    # What comes out has the coefficients that went in, but for those that Griffin and Lim cannot all meet.
    error = (again - latent)[:, :8, 2:-2].square().mean() / latent[:, :8, 2:-2].var()
    assert error < 0.1
