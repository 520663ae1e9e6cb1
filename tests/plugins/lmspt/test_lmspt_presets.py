"""Presets say what they must, and a wrong one is refused with its fault."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from codecbench_lmspt import LMSPT, load_preset
from codecbench_lmspt.presets import PresetError, preset_names, spec_from_table, spec_to_table
from codecbench_lmspt.spec import ModelSpec
from codecbench_lmspt.weights import inference_state


def bitrate_bps(spec: ModelSpec) -> float:
    return spec.frame_rate_hz * sum(size.bit_length() - 1 for size in spec.codebook_sizes)


@pytest.mark.parametrize(
    ("name", "frame_rate_hz", "size", "bitrate"),
    [("25hz", 25.0, 1024, 2000.0), ("12.5hz", 12.5, 2048, 1100.0), ("6.25hz", 6.25, 4096, 600.0)],
)
@pytest.mark.parametrize("family", ["paper", "mini"])
def test_rates_of_the_paper(family: str, name: str, frame_rate_hz: float, size: int, bitrate: float) -> None:
    spec = load_preset(f"{family}-{name}")
    assert (spec.sample_rate_hz, spec.frame_rate_hz) == (16_000, frame_rate_hz)
    assert spec.codebook_sizes == (size,) * 8
    assert bitrate_bps(spec) == bitrate


def test_release_bitrate() -> None:
    assert bitrate_bps(load_preset("release")) == 1225.0


def test_paper_size_is_near_the_published_one() -> None:
    with torch.device("meta"):
        model = LMSPT(load_preset("paper-12.5hz"))
    count = sum(parameter.numel() for parameter in model.parameters())
    assert abs(count / 99.7e6 - 1) < 0.02
    assert model.acoustic_encoder is not None
    assert abs(sum(p.numel() for p in model.acoustic_encoder.parameters()) / 22e6 - 1) < 0.05
    assert model.aux_decoder is not None
    assert abs(sum(p.numel() for p in model.aux_decoder.parameters()) / 2.4e6 - 1) < 0.1


@pytest.mark.parametrize("name", ["mini-25hz", "mini-12.5hz", "mini-6.25hz"])
def test_mini_weights_are_small(name: str) -> None:
    with torch.device("meta"):
        state = inference_state(LMSPT(load_preset(name)))
    assert 2 * sum(tensor.numel() for tensor in state.values()) < 25.5e6


@pytest.mark.parametrize("name", preset_names())
def test_spec_survives_the_weight_file(name: str) -> None:
    spec = load_preset(name)
    assert spec_from_table(spec_to_table(spec)) == spec


def test_a_new_preset_is_a_file(tmp_path: Path) -> None:
    text = (Path(load_preset.__code__.co_filename).parent / "presets" / "tiny.toml").read_text()
    path = tmp_path / "tiny-25hz.toml"
    path.write_text(text.replace("strides = [2, 4]", "strides = [2, 2]").replace("upsample = 8", "upsample = 4"))
    model = LMSPT(load_preset(path))
    assert model.frame_rate_hz == 25.0
    assert model.encode(torch.zeros(1, 1, 16_000)).shape == (1, 4, 25)


def test_overrides_are_two_lines() -> None:
    spec = load_preset("tiny", {"encoders": 1, "quantizer.update": "gradient", "aux_decoder": "none"})
    assert (spec.encoders, spec.quantizer.update, spec.aux_decoder) == (1, "gradient", None)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"encoder.widht": 3}, "unknown key 'widht'"),
        ({"encoders": 3}, "encoders must be 1 or 2"),
        ({"encoders": "two"}, "int is expected"),
        ({"quantizer.update": "sgd"}, "'gradient', 'ema'"),
        ({"decoder.upsample": 4}, "a decoder makes 640 samples a frame"),
        ({"encoder.kind": "wavelet"}, "'wavelet' is not one of"),
        ({"latent_width": "none"}, "latent_width is missing"),
        ({"causal": True}, "only convolution encoders"),
        ({"aux_decoder.fft_samples": 160}, "must overlap"),
    ],
)
def test_faults_are_named(overrides: dict[str, object], message: str) -> None:
    with pytest.raises(PresetError, match=message):
        load_preset("tiny", overrides)


def test_unknown_preset_lists_the_known() -> None:
    with pytest.raises(PresetError, match=r"mini-12\.5hz"):
        load_preset("mini-50hz")
