"""A second model through the same trainer: the loop does not know which one it trains."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
import training_runs

from codecbench import Batch, CodecContext
from codecbench_speechtokenizer_style import codec_spec, make_codec
from codecbench_speechtokenizer_style.model import build, load
from codecbench_train.loop import batches_of, export, set_up, train_step
from codecbench_train.toml import settings_tables


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training_runs.random_teacher(tmp_path_factory.mktemp("whisper"))


def test_it_trains_is_exported_and_runs_as_a_codec(tmp_path: Path, teacher: Path) -> None:
    torch.set_num_threads(1)
    more = ("distillation.kind=feature", "distillation.distance=d-axis", "model.name=speechtokenizer-style")
    run = set_up(training_runs.config(teacher, *more, model="speechtokenizer-style"), tmp_path)
    totals = []
    for batches in itertools.islice(batches_of(run), 25):
        train_step(run, run.progress.step, batches)
        run.progress.step, run.meter.steps = run.progress.step + 1, run.meter.steps + 1
        totals.append(float(run.meter.losses["mel"]))
    assert totals[24] - totals[19] < 0.9 * totals[4], "the mel loss of the last five steps against the first five"
    assert {"distillation", "commitment/first", "commitment/rest"} <= set(run.meter.losses)
    path = export(run, "last")
    spec = codec_spec("tiny")
    codec = make_codec(spec, CodecContext(options={"weights": path}))
    audio = torch.randn(2, 1, 5000)
    batch = Batch(audio, torch.tensor([5000, 3200]), 16_000)
    waveforms = codec.decode(codec.encode(batch))
    assert waveforms.num_samples.tolist() == [5000, 3200]
    assert torch.isfinite(waveforms.audio).all()


def test_saved_and_loaded_is_the_same(tmp_path: Path) -> None:
    model = build("tiny", {}).eval()
    again = load(model.save_pretrained(tmp_path / "m.safetensors")).eval()
    audio = torch.randn(1, 1, 6400)
    assert torch.equal(model.encode(audio), again.encode(audio))


@pytest.mark.parametrize(("overrides", "message"), [({"width": 3}, "unknown field 'width'"), ({}, "no such preset")])
def test_wrong_presets_are_named(overrides: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build("tiny" if overrides else "huge", overrides)


def test_overrides_change_sizes() -> None:
    model = build("tiny", settings_tables(["strides=[8, 5, 4, 2]", "codebooks=3"]))
    assert model.hop_samples == 320
    assert model.encode(torch.zeros(1, 1, 6401)).shape == (1, 3, 21)
