"""The Descript Audio Codec against the upstream class, on checkpoints in the published layout."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import DacModel

from codecbench import Batch, CodecSpec, Tokens, Unavailable, Utterance
from codecbench.audio.delay import measure_delay
from codecbench.audio.reading import read_audio
from codecbench.audio.resample import resample
from codecbench.loading import prepare
from codecbench.names import resolve
from codecbench.plugins import PluginHost
from codecbench_dac import SPECS, register_codecs
from codecbench_dac.codec import load_dac

MakeBatch = Callable[..., Batch]
each_variant = pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.variant)


def codes_of(encoded: object) -> torch.Tensor:
    assert isinstance(encoded, Tokens)
    return encoded.streams[0].codes


@each_variant
@pytest.mark.parametrize("length", [1, 320, 9001])
@torch.no_grad()
def test_codes_and_audio_are_the_upstream_models(
    spec: CodecSpec, length: int, dac_folders: dict[str, Path], noise_batch: MakeBatch
) -> None:
    """Given the whole frames that transformers' own feature extractor makes."""
    from transformers import DacFeatureExtractor

    upstream = DacModel.from_pretrained(dac_folders[spec.variant]).eval()
    rate, hop = upstream.config.sampling_rate, upstream.config.hop_length
    batch = noise_batch(rate, [length])
    extract = DacFeatureExtractor(sampling_rate=rate, hop_length=hop)
    padded = extract(batch.audio[0, 0].numpy(), sampling_rate=rate, return_tensors="pt")["input_values"]
    expected = upstream.encode(padded).audio_codes
    codec = load_dac(spec, dac_folders[spec.variant], "cpu")
    tokens = codec.encode(batch)
    assert torch.equal(codes_of(tokens), expected)
    heard, wanted = codec.decode(tokens).audio[0, 0], upstream.decode(audio_codes=expected).audio_values[0]
    assert heard.shape == (length,)
    assert torch.equal(heard[: len(wanted)], wanted[:length])


PUBLISHED = [(SPECS[0], "16 kHz nq12", 10), (SPECS[1], "hilcodec page", 2)]


@pytest.mark.parametrize(("spec", "detail", "num_pairs"), PUBLISHED, ids=["16khz", "24khz"])
def test_declared_lead_is_that_of_published_outputs(
    spec: CodecSpec, detail: str, num_pairs: int, shared_dir: Path
) -> None:
    """Outputs of the official weights that other projects published, against their originals."""
    rows = [json.loads(line) for line in (shared_dir / "pairs" / "manifest.jsonl").read_text().splitlines()]
    wanted = [r for r in rows if r["codec"] == "DAC" and r["detail"] == detail and r["weights"] == "official"]
    assert len(wanted) == num_pairs
    for row in wanted:
        original, output = (_read(shared_dir / row[key], spec) for key in ("original", "reconstruction"))
        lag = measure_delay(original, output, spec.sample_rate_hz or 0)
        assert lag == pytest.approx(spec.output_delay_samples, abs=1), row["id"]


def _read(path: Path, spec: CodecSpec) -> np.ndarray:
    audio, rate_hz = read_audio(Utterance(path.stem, path))
    return resample(audio, rate_hz, spec.sample_rate_hz or 0)


def test_names() -> None:
    host = PluginHost()
    host.add(type("Plugin", (), {"register_codecs": staticmethod(register_codecs)}), "dac")
    rates = {name: resolve(host.registry, name).spec.nominal_bitrate_bps for name in ("dac", "dac:24khz", "dac:44khz")}
    assert rates["dac"] == 6000
    assert rates["dac:24khz"] == 24000
    assert rates["dac:44khz"] == pytest.approx(7752, abs=1)


def test_each_variant_has_its_own_hub_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    host = PluginHost()
    host.add(type("Plugin", (), {"register_codecs": staticmethod(register_codecs)}), "dac")
    problem = prepare(host.registry, "dac:44khz", {}).unavailable
    assert problem is not None
    assert "hf download descript/dac_44khz config.json model.safetensors" in problem.remedy


def test_refuses_the_checkpoint_of_another_variant(dac_folders: dict[str, Path]) -> None:
    with pytest.raises(Unavailable, match="sampling_rate is 24000, expected 16000; n_codebooks is 32, expected 12"):
        load_dac(SPECS[0], dac_folders["24khz"], "cpu")
