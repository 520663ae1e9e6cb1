"""LM-SPT as the suite sees it: names, availability, modes, lengths, streams."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import model_of
from lmspt_made_up import SMALL_RELEASE

from codecbench import Batch, CapabilityError, Codec, Tokens, Unavailable
from codecbench.conformance import PROPERTIES, Examination, settle, subject_by_name
from codecbench.loading import open_codec, prepare
from codecbench.plugins import PluginHost
from codecbench.registering import Registry
from codecbench_lmspt import LMSPT, load_preset
from codecbench_lmspt.codec import LMSPTCodec
from codecbench_lmspt.variants import codec_spec


@pytest.fixture(scope="module")
def registry() -> Registry:
    import codecbench_lmspt

    host = PluginHost()
    host.add(codecbench_lmspt, "codecbench_lmspt")
    assert not host.failed(), [plugin.error for plugin in host.failed()]
    return host.registry


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_of("tiny").float().save_pretrained(tmp_path_factory.mktemp("weights") / "tiny.safetensors")


@pytest.fixture(scope="module")
def codec(registry: Registry, weights: Path) -> Codec:
    return open_codec(registry, "lmspt:tiny", {"lmspt": {"weights": str(weights)}})


def batch(*lengths: int) -> Batch:
    audio = 0.2 * torch.randn(len(lengths), 1, max(lengths), generator=torch.Generator().manual_seed(0))
    for row, length in enumerate(lengths):
        audio[row, :, length:] = 0
    return Batch(audio, torch.tensor(lengths), 16_000)


def test_names_are_those_of_the_design(registry: Registry) -> None:
    assert prepare(registry, "lmspt", {}).label == "lmspt:mini-12.5hz"
    assert prepare(registry, "lmspt:25hz@4/semantic", {}).label == "lmspt:mini-25hz@4/semantic"
    for name in ("mini-6.25hz", "paper-25hz", "paper-12.5hz", "paper-6.25hz", "release", "release-causal"):
        spec = prepare(registry, f"lmspt:{name}", {}).spec
        assert {mode.name for mode in spec.decode_modes} == {"full", "semantic", "semantic-aux", "acoustic"}
    spec = prepare(registry, "lmspt:release", {}).spec
    assert spec.nominal_bitrate_bps == 1225.0
    assert spec.output_rate_hz("semantic-aux", 24_000) == 16_000


def test_importing_the_package_and_registering_loads_no_torch() -> None:
    code = (
        "import sys, codecbench_lmspt; from codecbench.registering import PluginRegistrar;"
        "codecbench_lmspt.register_codecs(PluginRegistrar('lmspt').codec); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("name", ["paper-12.5hz", "release-causal"])
def test_variants_without_weights_say_why_and_what_to_do(registry: Registry, name: str) -> None:
    prepared = prepare(registry, f"lmspt:{name}", {})
    assert prepared.unavailable is not None
    assert "published" in prepared.unavailable.reason
    assert f"codecbench train lmspt --preset {name}" in prepared.unavailable.remedy


def test_release_is_looked_for_without_a_network(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CODECBENCH_DOWNLOAD", raising=False)
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_, **__: None)
    prepared = prepare(registry, "lmspt:release", {})
    assert prepared.unavailable is not None
    assert "hf download kakaocorp/lmspt" in prepared.unavailable.remedy


def test_weights_of_another_preset_are_unavailable_here(registry: Registry, weights: Path) -> None:
    prepared = prepare(registry, "lmspt", {"lmspt": {"weights": str(weights)}})
    assert prepared.unavailable is not None
    assert "'tiny'" in prepared.unavailable.reason
    missing = prepare(registry, "lmspt", {"lmspt": {"weights": str(weights) + "x"}}).unavailable
    assert missing is not None
    assert "no such weight file" in missing.reason


def test_wrong_keys_make_the_codec_unavailable(registry: Registry, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(Unavailable, match="keys differ, first: missing semantic_encoder"):
        open_codec(registry, "lmspt:tiny", {"lmspt": {"weights": str(tmp_path / "x.safetensors")}})


def test_identity_changes_with_the_weights(registry: Registry, weights: Path, tmp_path: Path) -> None:
    other = LMSPT(load_preset("tiny")).save_pretrained(tmp_path / "other.safetensors")
    facts = [
        prepare(registry, "lmspt:tiny", {"lmspt": {"weights": str(path)}}).encode_identity for path in (weights, other)
    ]
    assert facts[0]["weights_sha256"] != facts[1]["weights_sha256"]


@pytest.mark.parametrize("mode", ["full", "semantic", "semantic-aux", "acoustic"])
def test_every_mode_returns_exactly_the_input_length(codec: Codec, mode: str) -> None:
    given = batch(20_000, 1, 0, 7_777)
    encoded = codec.encode(given)
    assert isinstance(encoded, Tokens)
    assert [stream.num_frames.tolist() for stream in encoded.streams] == [[16, 1, 0, 7]] * 2
    waves = codec.decode(encoded, mode)
    assert waves.num_samples.tolist() == [20_000, 1, 0, 7_777]
    assert waves.sample_rate_hz == 16_000
    alone = codec.decode(encoded.row(3), mode)
    torch.testing.assert_close(alone.audio[0], waves.audio[3, :, :7_777], atol=1e-5, rtol=1e-4)


def test_truncation_keeps_the_first_books(codec: Codec) -> None:
    encoded = codec.encode(batch(16_000))
    assert isinstance(encoded, Tokens)
    assert isinstance(codec, LMSPTCodec)
    codes = torch.cat([stream.codes for stream in encoded.streams], dim=1)
    for k in (1, 2, 4):
        expected = codec.model.decode(codes[:, :k])[..., :16_000]
        torch.testing.assert_close(codec.decode(encoded.truncated(k)).audio, expected)
    with pytest.raises(CapabilityError, match="at least 2 codebooks"):
        codec.decode(encoded.truncated(1), "acoustic")


def test_an_offline_variant_refuses_to_stream(codec: Codec) -> None:
    with pytest.raises(CapabilityError, match="not causal"):
        codec.stream()


def test_the_causal_variant_streams_its_offline_tokens() -> None:
    model = model_of("release-causal", {**SMALL_RELEASE, "name": "release-causal", "causal": True}).float()
    codec = LMSPTCodec(codec_spec("release-causal"), model)
    audio = 0.2 * torch.randn(1, 1, 24 * 50 + 7, generator=torch.Generator().manual_seed(0))
    session = codec.stream()
    parts = [session.push(part) for part in audio.split(100, dim=-1)]
    parts.append(session.flush())
    assert all(isinstance(part, Tokens) for part in parts)
    streamed = torch.cat([part.streams[0].codes for part in parts if isinstance(part, Tokens)], dim=-1)
    assert torch.equal(streamed, model.encode(audio)[:, :1])
    assert sum(int(part.num_samples[0]) for part in parts) == audio.shape[-1]


@pytest.mark.parametrize("name", [judged.name for judged in PROPERTIES])
def test_the_contract_is_kept(examination: Examination, name: str) -> None:
    settle(examination.finding(name))


@pytest.fixture(scope="module")
def examination(registry: Registry, weights: Path) -> Examination:
    return Examination(subject_by_name(registry, "lmspt:tiny", settings={"lmspt": {"weights": str(weights)}}))
