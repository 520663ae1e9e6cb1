"""The release preset is the published model: parameters, keys, codes and waveforms."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import lmspt_reference as reference
import numpy as np
import pytest
import torch
from lmspt_made_up import small_release, small_release_state
from torch import Tensor, nn

from codecbench_lmspt import LMSPT, load_preset
from codecbench_lmspt.weights import apply_state, inference_state

ENCODER, DECODER, AUX = [2, 3, 4], [4, 3, 2], [4, 2, 2]


def relative_l2(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm())


@pytest.fixture(scope="module")
def small() -> tuple[LMSPT, dict[str, Tensor]]:
    state = small_release_state()
    model = LMSPT(small_release())
    apply_state(model, state, "made up")
    return model.double().eval(), {key: tensor.double() for key, tensor in state.items()}


@pytest.fixture(scope="module")
def audio() -> Tensor:
    return 0.3 * torch.randn(2, 1, 24 * 100 - 7, generator=torch.Generator().manual_seed(1))


def test_parameter_counts_are_the_published_ones() -> None:
    with torch.device("meta"):
        model = LMSPT(load_preset("release"))

    def count(module: nn.Module | None) -> int:
        assert module is not None
        return sum(parameter.numel() for parameter in module.parameters())

    assert count(model.semantic_encoder) == count(model.acoustic_encoder) == 16_238_144
    assert count(model.decoder) == 40_446_770
    assert count(model.aux_decoder) == 1_221_130
    assert count(model.quantizer) == 508_032
    assert count(model) == 74_652_220
    assert model.frame_rate_hz == 12.5
    assert model.spec.hop_samples * 75 == 6 * 24_000


def test_key_layout_is_the_official_one(shared_dir: Path) -> None:
    layout = json.loads((shared_dir / "lmspt" / "lmspt_release_layout.json").read_text())
    with torch.device("meta"):
        state = inference_state(LMSPT(load_preset("release")))
    expected = {entry["key"]: tuple(entry["shape"]) for entry in layout["tensors"]}
    assert {key: tuple(value.shape) for key, value in state.items()} == expected


def test_small_model_equals_the_plain_functional_one(small: tuple[LMSPT, dict[str, Tensor]], audio: Tensor) -> None:
    model, state = small
    audio = audio.double()
    padded = nn.functional.pad(audio, (0, -audio.shape[-1] % 24))
    codes = model.encode(audio)
    assert torch.equal(codes, reference.encode(state, padded, ENCODER, 4))
    full = reference.decoder(state, "decoder", reference.latent(state, codes), DECODER)
    short = full.shape[-1]
    assert float(full.abs().max()) < 0.99, "tanh must not saturate, or it hides differences"
    assert short < codes.shape[-1] * 24, "the odd stride must cost samples, or this test does not see padding"
    assert relative_l2(model.decode(codes)[..., :short], full) < 1e-9
    assert model.decode(codes)[..., short:].abs().max() == 0
    two = reference.decoder(state, "decoder", reference.latent(state, codes[:, :2]), DECODER)
    assert relative_l2(model.decode(codes[:, :2])[..., :short], two) < 1e-9
    acoustic = reference.decoder(state, "decoder", reference.latent(state, codes, first=1), DECODER)
    assert relative_l2(model.decode_acoustic(codes)[..., :short], acoustic) < 1e-9
    semantic = reference.decoder(state, "aux_decoder", reference.latent(state, codes[:, :1]), AUX)
    assert relative_l2(model.decode_semantic(codes)[..., : semantic.shape[-1]], semantic) < 1e-9


def test_folding_weight_norm_changes_nothing(audio: Tensor) -> None:
    live = LMSPT(small_release())
    apply_state(live, small_release_state(), "made up")
    live.eval()
    codes, wave = live.encode(audio), live.decode(live.encode(audio))
    live.for_inference()
    assert torch.equal(live.encode(audio), codes)
    assert relative_l2(live.decode(codes), wave) < 1e-5


def test_save_gives_back_the_official_layout(tmp_path: Path, audio: Tensor) -> None:
    from safetensors.torch import load_file

    state = small_release_state()
    model = LMSPT(small_release())
    apply_state(model, state, "made up")
    saved = load_file(model.save_pretrained(tmp_path / "live.safetensors"))
    assert saved.keys() == state.keys()
    assert all(torch.equal(saved[key], state[key]) for key in state)
    codes = model.eval().encode(audio)
    model.for_inference().save_pretrained(tmp_path / "folded.safetensors")
    assert torch.equal(LMSPT.from_pretrained(tmp_path / "folded.safetensors").encode(audio), codes)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:LM-SPT release weights")
def test_codes_and_waveforms_of_the_official_model(shared_dir: Path, tmp_path: Path) -> None:
    folder = shared_dir / "lmspt"
    weights = tmp_path / "weights.safetensors"
    fill = [sys.executable, str(folder / "fill_weights.py"), str(folder / "lmspt_release_layout.json"), str(weights)]
    subprocess.run(fill, check=True, capture_output=True)
    data = np.load(folder / "lmspt_release_parity.npz")
    model = LMSPT.from_pretrained(weights)
    codes = torch.from_numpy(data["codes_1s37"]).long().transpose(0, 1)
    assert torch.equal(model.encode(torch.from_numpy(data["x_1s37"])[None, None]), codes)
    decoded = {
        "dec8_1s37": model.decode(codes),
        "dec1_1s37": model.decode(codes[:, :1]),
        "dec_acoustic_only_1s37": model.decode_acoustic(codes),
        "aux_1s37": model.decode_semantic(codes),
    }
    for key, wave in decoded.items():
        expected = torch.from_numpy(data[key]).flatten()
        assert relative_l2(wave[0, 0, : len(expected)], expected) < 1e-4, key
