"""Configuration: strict, round-trips through TOML, ablations stack; schedules are pure functions."""

from __future__ import annotations

import itertools
import tomllib

import pytest
import torch

from codecbench.errors import UsageError
from codecbench_lmspt.presets import load_preset
from codecbench_lmspt.spec import VocosDecoderSpec
from codecbench_train.cli import data_tables, resolve, shipped_configs
from codecbench_train.config import OptimizerConfig, SourceConfig, TrainConfig
from codecbench_train.models import build_model
from codecbench_train.optimizers import adamw, average_decay, clip, learning_rate, update_average
from codecbench_train.toml import build, dump, settings_tables


def test_dump_reads_back_to_the_same() -> None:
    tables = {"steps": 7, "data": {"sources": [{"path": "a b.jsonl", "weight": 2}, {"path": 'ü"x'}]}}
    config = build(TrainConfig, tables)
    assert config.data.sources[0] == SourceConfig("a b.jsonl", 2.0)
    assert build(TrainConfig, tomllib.loads(dump(config))) == config


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("data.batchsize=4", "did you mean 'data.batch_size'"),
        ("data.batch_size=many", "expected int"),
        ("precision=fp8", "choose from"),
        ("generator=3", "expected a table"),
        ("nonsense", "KEY=VALUE"),
    ],
)
def test_wrong_settings_are_named(setting: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build(TrainConfig, settings_tables([setting]))


def test_batch_must_divide_over_ranks() -> None:
    config = build(TrainConfig, {"data": {"batch_size": 6, "sources": [{"path": "x"}]}})
    config.check(3)
    with pytest.raises(UsageError, match="multiple of ranks"):
        config.check(4)


def test_data_arguments() -> None:
    assert data_tables(["a.jsonl,weight=2,split=train,dev_speakers=20"]) == [
        {"path": "a.jsonl", "weight": 2, "split": "train", "dev_speakers": 20}
    ]


@pytest.mark.parametrize("name", shipped_configs())
def test_every_shipped_configuration_is_valid(name: str) -> None:
    config = resolve("lmspt", "mini-12.5hz", ["x.jsonl"], [name], [], None)
    assert config.steps > 0


@pytest.mark.parametrize("preset", ["mini-25hz", "mini-12.5hz", "mini-6.25hz"])
@pytest.mark.parametrize("configs", [[], ["cpu"]])
def test_a_pitch_is_asked_of_the_decoders_that_choose_one(preset: str, configs: list[str]) -> None:
    decoder = load_preset(preset).decoder
    assert isinstance(decoder, VocosDecoderSpec)
    config = resolve("lmspt", preset, ["x.jsonl"], configs, [], None)
    assert bool(config.loss.pitch) == bool(decoder.pitch_candidates)


def test_learning_rate_starts_above_zero_peaks_and_ends_at_final() -> None:
    config = OptimizerConfig(peak=2e-4, final=5e-5, warmup_steps=100)
    rates = [learning_rate(config, step, 1000) for step in range(1001)]
    assert rates[0] == pytest.approx(2e-6)
    assert max(rates) == pytest.approx(2e-4)
    assert rates[100] == pytest.approx(2e-4)
    assert rates[1000] == pytest.approx(5e-5)
    assert all(a >= b for a, b in itertools.pairwise(rates[100:]))


def test_a_tail_falls_at_the_end_and_follows_a_changed_length() -> None:
    config = OptimizerConfig(peak=4e-4, final=4e-5, warmup_steps=100, decay="tail")
    rates = [learning_rate(config, step, 1000) for step in range(1001)]
    assert rates[99:701] == [pytest.approx(4e-4)] * 602
    assert all(a > b for a, b in itertools.pairwise(rates[700:]))
    assert rates[1000] == pytest.approx(4e-5)
    assert learning_rate(config, 700, 2000) == pytest.approx(4e-4)


def test_no_decay_on_codebooks_norms_gains_and_biases() -> None:
    overrides = ["quantizer.update=gradient", "quantizer.start_step=0"]
    config = build(TrainConfig, {"model": {"preset": "tiny", "overrides": overrides}})
    model = build_model(config.model, 0)
    optimizer = adamw(model, OptimizerConfig(), model.no_decay_parameter_names())
    names = {id(p): name for name, p in model.named_parameters()}
    decayed = {names[id(p)] for p in optimizer.param_groups[0]["params"]}
    spared = {names[id(p)] for p in optimizer.param_groups[1]["params"]}
    assert decayed
    assert all(name.endswith("codebook.weight") is False and "norm" not in name for name in decayed)
    assert any(name.endswith("codebook.weight") for name in spared)
    assert decayed | spared == {name for name, p in model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("per_module", [False, True])
def test_clipping(per_module: bool) -> None:
    net = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
    for number, p in enumerate(net.parameters()):
        p.grad = torch.full_like(p, 10.0 * (number + 1))
    before = torch.stack([p.grad.norm() for p in net.parameters()]).norm()
    norm = clip(net, OptimizerConfig(clip_norm=1.0, clip_per_module=per_module))
    assert float(norm) == pytest.approx(float(before), rel=1e-5)
    parts = list(net) if per_module else [net]
    for part in parts:
        total = torch.stack([p.grad.norm() for p in part.parameters()]).norm()
        assert float(total) == pytest.approx(1.0, rel=1e-4)


def test_the_average_follows_closely_at_first() -> None:
    decays = [average_decay(0.999, step) for step in (0, 10, 100, 1000, 9000, 10**6)]
    assert decays[0] == pytest.approx(0.1)
    assert decays == sorted(decays)
    assert decays[3] < 0.992
    assert decays[-2:] == [0.999, 0.999]
    assert average_decay(0.5, 100) == 0.5


def test_average_follows_trained_weights_and_copies_the_rest() -> None:
    net, average = torch.nn.BatchNorm1d(3), torch.nn.BatchNorm1d(3)
    net.weight.data.fill_(3.0)
    net.running_mean.fill_(5.0)
    update_average(average, net, 0.9)
    torch.testing.assert_close(average.weight.data, torch.full((3,), 1.2))
    torch.testing.assert_close(average.running_mean, torch.full((3,), 5.0))


def test_unknown_models_are_named() -> None:
    for name, message in (
        ("whisper", "known: lmspt"),
        ("no.such:thing", "cannot be loaded"),
        ("itertools:product", "lacks"),
        ("builtins:dict", "refused"),
    ):
        with pytest.raises(UsageError, match=message):
            build_model(build(TrainConfig, {"model": {"name": name}}).model, 0)
    with pytest.raises(UsageError, match="preset"):
        build_model(build(TrainConfig, {"model": {"preset": "gigantic"}}).model, 0)
