"""Weight files: strict, safe, and found where they are said to be."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from codecbench_lmspt import LMSPT, load_preset, weights
from codecbench_lmspt.files import WeightsError


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    return LMSPT(load_preset("tiny")).save_pretrained(tmp_path / "tiny.safetensors", licence="CC-BY-SA-4.0")


def test_a_file_and_a_folder_give_the_same_model(saved: Path) -> None:
    audio = torch.randn(1, 1, 8000)
    codes = [LMSPT.from_pretrained(source).encode(audio) for source in (saved, str(saved), saved.parent)]
    assert torch.equal(codes[0], codes[1])
    assert torch.equal(codes[0], codes[2])


def test_training_state_stays_out_of_the_file_and_training_can_go_on(saved: Path) -> None:
    assert not any(".ema." in key or "distillation" in key for key in load_file(saved))
    model = LMSPT.from_pretrained(saved, fold=False).train()
    before = model.quantizer.rvq_first.books[0].codebook.weight.detach().clone()
    model.training_forward(torch.randn(2, 1, 16_000), step=0, sample_index=torch.arange(2), seed=0)
    after = model.quantizer.rvq_first.books[0].codebook.weight
    # Entries moved by an averaging step; they were not drawn anew by k-means.
    assert not torch.equal(before, after)
    assert (before - after).abs().median() < 0.2 * before.abs().median()


def test_half_precision_file_is_half_as_large(saved: Path, tmp_path: Path) -> None:
    model = LMSPT.from_pretrained(saved)
    half = model.save_pretrained(tmp_path / "half", dtype=torch.float16)
    assert half == tmp_path / "half" / "model.safetensors"
    assert half.stat().st_size < 0.65 * saved.stat().st_size
    assert LMSPT.from_pretrained(half).quantizer.semantic_vocab_usage.dtype == torch.float32


def test_differing_keys_are_named(saved: Path, tmp_path: Path) -> None:
    state = load_file(saved)
    state["decoder.embed.surplus"] = torch.zeros(1)
    bias = state.pop("decoder.embed.bias")
    state["aux_decoder.embed.bias"] = torch.zeros(3)
    bad = tmp_path / "bad.safetensors"
    save_file(state, bad)
    with pytest.raises(WeightsError, match="3 keys differ") as error:
        LMSPT.from_pretrained(bad, preset="tiny")
    for part in ("missing decoder.embed.bias", "unexpected decoder.embed.surplus", "is [3], expected [16]"):
        assert part in str(error.value)
    assert bias.shape == (32,)


def test_another_presets_file_is_refused(saved: Path) -> None:
    with pytest.raises(WeightsError, match="'tiny', not 'mini-25hz'"):
        LMSPT.from_pretrained(saved, preset="mini-25hz")


@pytest.mark.parametrize("name", ["weights.bin", "weights.pt", "weights.safetensors"])
def test_pickles_are_refused_unopened(tmp_path: Path, name: str) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / name)
    with pytest.raises(WeightsError, match="pickle"):
        LMSPT.from_pretrained(tmp_path / name)
    (tmp_path / name).write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(WeightsError, match="pickle"):
        LMSPT.from_pretrained(tmp_path / name)


def test_garbage_and_truncation_are_refused(saved: Path) -> None:
    for content in (b"", b"not weights at all", saved.read_bytes()[:5000]):
        saved.write_bytes(content)
        with pytest.raises(WeightsError, match="not a safetensors file"):
            LMSPT.from_pretrained(saved)


def test_missing_sources_are_explained(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such weight file"):
        LMSPT.from_pretrained(tmp_path / "none.safetensors")
    with pytest.raises(WeightsError, match=r"exactly one \.safetensors file is expected, found none"):
        LMSPT.from_pretrained(tmp_path)
    with pytest.raises(WeightsError, match="no weights for LM-SPT 'tiny'"):
        LMSPT.from_pretrained("tiny")


def test_the_hub_out_of_reach_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def unreachable(*_: object, **__: object) -> str:
        raise ConnectionError("no route")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", unreachable)
    with pytest.raises(WeightsError, match=r"bring lmspt_12d5hz_16384_4096\.safetensors here and pass its path"):
        LMSPT.from_pretrained("kakaocorp/lmspt")


def test_non_commercial_weights_say_so_once(tmp_path: Path, saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "_noticed", False)
    model = LMSPT.from_pretrained(saved, fold=False)
    path = model.save_pretrained(tmp_path / "nc", licence="CC-BY-NC-4.0")
    with pytest.warns(weights.LicenceNotice, match="non-commercial"):
        LMSPT.from_pretrained(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LMSPT.from_pretrained(path)
        LMSPT.from_pretrained(saved)


@pytest.mark.parametrize("stated", ["{", '{"name": "x", "colour": "red"}'])
def test_a_model_of_another_version_is_refused_with_a_word(saved: Path, tmp_path: Path, stated: str) -> None:
    from codecbench_lmspt.files import SPEC_KEY

    save_file(load_file(saved), tmp_path / "other.safetensors", metadata={SPEC_KEY: stated})
    with pytest.raises(WeightsError, match=r"other\.safetensors states a model that this version does not know"):
        LMSPT.from_pretrained(tmp_path / "other.safetensors")
