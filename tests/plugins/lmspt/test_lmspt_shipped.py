"""The weights that ship, on real speech of speakers who are not in their training data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile
import torch
from pystoi import stoi
from torch import Tensor

from codecbench_lmspt import LMSPT, load_preset
from codecbench_lmspt.files import LICENCE_KEY, WEIGHTS_DIR
from codecbench_lmspt.weights import read

BUILTIN = Path(__file__).parents[3] / "plugins" / "codecbench_corpora" / "data" / "builtin"
SHIPPED = sorted(path.stem for path in WEIGHTS_DIR.glob("*.safetensors"))


def english(count: int) -> list[Tensor]:
    """The longest English clips of the built-in corpus, ``[T]`` each."""
    rows = [json.loads(line) for line in (BUILTIN / "manifest.jsonl").read_text("utf-8").splitlines()]
    clips = []
    for row in rows:
        if row["language"].startswith("en"):
            audio, rate = soundfile.read(BUILTIN / row["audio"], dtype="float32")
            assert rate == 16_000
            clips.append(torch.from_numpy(audio))
    return sorted(clips, key=len)[-count:]


def test_plain_lmspt_has_weights() -> None:
    assert "mini-12.5hz" in SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_files_are_small_licensed_and_of_their_preset(name: str) -> None:
    path = WEIGHTS_DIR / f"{name}.safetensors"
    assert path.stat().st_size <= 25_500_000
    state, metadata = read(path)
    assert metadata[LICENCE_KEY] == load_preset(name).card.licence_weights == "CC-BY-SA-4.0"
    assert all(torch.isfinite(value).all() for value in state.values())
    assert load_preset(name).card.training_data
    model, preset = LMSPT.from_pretrained(name), load_preset(name)
    assert (model.spec.codebook_sizes, model.frame_rate_hz) == (preset.codebook_sizes, preset.frame_rate_hz)


@pytest.mark.parametrize("name", SHIPPED)
def test_speech_survives_and_the_more_the_more_codebooks_are_kept(name: str) -> None:
    model = LMSPT.from_pretrained(name)
    clips = english(4)
    kept: dict[int, list[float]] = {1: [], model.num_codebooks: []}
    strangers = []
    for clip, other in zip(clips, clips[1:] + clips[:1], strict=True):
        codes = model.encode(clip[None, None])
        for books, scores in kept.items():
            back = model.decode(codes[:, :books], torch.tensor([len(clip)]))[0, 0]
            assert len(back) == len(clip)
            scores.append(float(stoi(clip.numpy(), back.numpy(), 16_000)))
        length = min(len(clip), len(other))
        strangers.append(float(stoi(clip[:length].numpy(), other[:length].numpy(), 16_000)))
    semantic, full = (sum(scores) / len(scores) for scores in kept.values())
    unrelated = sum(strangers) / len(strangers)
    assert full > semantic + 0.03
    assert semantic > unrelated + 0.1
    assert full > 0.65


@pytest.mark.parametrize("name", SHIPPED)
def test_a_batch_is_its_rows_to_the_last_bit(name: str) -> None:
    """The search for phases multiplies what another order of sums changes; so rows must not meet."""
    model = LMSPT.from_pretrained(name)
    lengths = torch.tensor([2 * model.hop_samples + 100, 6 * model.hop_samples, 5 * model.hop_samples])
    codes = torch.randint(1024, (3, 8, 6), generator=torch.Generator().manual_seed(0))
    batch = model.decode(codes, lengths)
    assert batch.shape == (3, 1, int(lengths.max()))
    for row, length in enumerate(lengths.tolist()):
        frames = -(-length // model.hop_samples)
        alone = model.decode(codes[row : row + 1, :, :frames], lengths[row : row + 1])
        assert torch.equal(batch[row, :, :length], alone[0])
        assert not batch[row, :, length:].any()
    assert torch.equal(model.decode(codes)[1], model.decode(codes[1:2])[0])
