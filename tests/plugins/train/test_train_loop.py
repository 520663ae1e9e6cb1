"""The loop trains: losses behave, gradients go where they should, trouble stops it with a clear word."""

from __future__ import annotations

import errno
import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import training_runs
from safetensors.torch import save_file
from torch import Tensor, nn

from codecbench.errors import UsageError
from codecbench_train import checkpoints, loop
from codecbench_train.checkpoints import CheckpointError
from codecbench_train.cli import resolve
from codecbench_train.config import TrainConfig
from codecbench_train.data.loader import TrainingBatch
from codecbench_train.loop import Run, batches_of, set_up, train_step
from codecbench_train.objective import Counts, Term
from codecbench_train.stopping import TrainingStopped
from codecbench_train.telemetry import Report, book_health


@pytest.fixture(scope="session")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training_runs.random_teacher(tmp_path_factory.mktemp("whisper"))


def _steps(run: Run, count: int, every: int) -> list[Report]:
    reports = []
    for batches in itertools.islice(batches_of(run), count):
        train_step(run, run.progress.step, batches)
        run.progress.step += 1
        run.meter.steps += 1
        if run.progress.step % every == 0:
            reports.append(run.meter.read())
            run.meter = loop.Meter()
    return reports


def _run(config: TrainConfig, out: Path) -> Run:
    torch.set_num_threads(1)
    return set_up(config, out)


@pytest.mark.slow
def test_a_tiny_run_with_every_loss_on_learns(tmp_path: Path, teacher: Path) -> None:
    run = _run(training_runs.config(teacher, "steps=60", "ema_decay=0.9"), tmp_path)
    reports = _steps(run, 60, 10)
    first, last = reports[0].losses, reports[-1].losses
    assert set(last) == {
        "discriminator", "mel", "commitment/semantic", "commitment/acoustic", "codebook/semantic", "codebook/acoustic",
        "distillation", "adversarial", "feature_matching",
    }  # fmt: skip
    assert last["mel"] < 0.75 * first["mel"]
    assert last["distillation"] < 0.9 * first["distillation"]
    assert last["discriminator"] < first["discriminator"]
    # The preset's codebooks start after a few steps without; from then on the commitment stays bounded.
    started = reports[2].losses
    assert 0 < last["commitment/acoustic"] < 5 * started["commitment/acoustic"]
    assert 0 < last["commitment/semantic"] < 5 * started["commitment/semantic"]
    assert last["feature_matching"] > 0
    assert last["adversarial"] > 0
    assert all(book.normalised_entropy > 0.4 for book in reports[-1].books), reports[-1].books
    assert run.average is not None
    moved = [not torch.equal(a, b) for a, b in zip(run.average.parameters(), run.model.parameters(), strict=True)]
    assert any(moved)


def _one_batch(run: Run) -> tuple[list[TrainingBatch], Counts]:
    batches = next(batches_of(run))
    return batches, loop.global_counts(run, batches)


def _reached(module: nn.Module) -> bool:
    return any(p.grad is not None and float(p.grad.abs().sum()) > 0 for p in module.parameters())


@pytest.mark.parametrize("convention", ["paper", "release"])
def test_distillation_reaches_the_semantic_encoder_and_not_the_teacher(
    tmp_path: Path, teacher: Path, convention: str
) -> None:
    run = _run(training_runs.config(teacher, f"distillation.convention={convention}"), tmp_path)
    batches, counts = _one_batch(run)
    output = loop.forward(run, 0, batches[0])
    target = run.objective.teacher_target(batches[0])
    terms = run.objective.terms(output, batches[0], target, counts)
    (distillation,) = [t for t in terms if t.name == "distillation"]
    assert distillation.weight == {"paper": 100.0, "release": 500.0}[convention]
    distillation.value.backward()
    model: Any = run.model
    assert _reached(model.semantic_encoder)
    assert _reached(model.aux_decoder)
    assert not _reached(model.acoustic_encoder)
    assert not _reached(model.decoder)
    assert not _reached(run.objective)


@pytest.mark.parametrize("convention", ["paper", "release"])
def test_every_second_utterance_through_the_teacher_is_a_mean_over_those(
    tmp_path: Path, teacher: Path, convention: str
) -> None:
    more = f"distillation.convention={convention}", "distillation.every=2"
    run = _run(training_runs.config(teacher, *more), tmp_path)
    (batch,), counts = _one_batch(run)
    output = loop.forward(run, 0, batch)
    made = output.semantic_resynthesis
    assert made is not None
    made.retain_grad()

    target = run.objective.teacher_target(batch, 2)
    value = _distillation(run.objective.terms(output, batch, target, counts))
    value.backward()
    assert made.grad is not None
    heard = made.grad.abs().sum(dim=(1, 2)) > 0
    assert heard.tolist() == [index % 2 == 0 for index in batch.sample_index.tolist()]
    assert counts.distilled == int(heard.sum())
    # The same utterances in a batch of their own.
    rows = heard.nonzero()[:, 0]
    ids = tuple(batch.ids[int(row)] for row in rows)
    alone = TrainingBatch(batch.audio[rows], batch.num_samples[rows], batch.sample_index[rows], ids, ())
    theirs = replace(output, reconstruction=output.reconstruction[rows], semantic_resynthesis=made[rows])
    target, counts = run.objective.teacher_target(alone), run.objective.count([alone])
    torch.testing.assert_close(_distillation(run.objective.terms(theirs, alone, target, counts)), value)


def _distillation(terms: Sequence[Term]) -> Tensor:
    (value,) = [term.value for term in terms if term.name == "distillation"]
    return value


def test_the_semantic_mel_loss_fades_and_reaches_the_semantic_side_alone(tmp_path: Path, teacher: Path) -> None:
    more = "loss.semantic_mel=15.0", "loss.semantic_fade_steps=4"
    run = _run(training_runs.config(teacher, *more), tmp_path)
    batches, counts = _one_batch(run)
    output = loop.forward(run, 0, batches[0])
    weights = [
        [term.weight for term in run.objective.fading_terms(output, batches[0], counts, step)]
        for step in (0, 1, 3, 4, 9)
    ]
    assert weights == [[15.0], [11.25], [3.75], [], []]
    (term,) = run.objective.fading_terms(output, batches[0], counts, 0)
    expected = run.objective.mel(output.semantic_resynthesis, batches[0].audio).mean()
    torch.testing.assert_close(term.value, expected)
    term.value.backward()
    model: Any = run.model
    assert _reached(model.semantic_encoder)
    assert _reached(model.aux_decoder)
    assert not _reached(model.decoder)
    assert not _reached(model.acoustic_encoder)
    plain = _run(training_runs.config(teacher), tmp_path / "plain")
    assert plain.objective.fading_terms(output, batches[0], counts, 0) == []


def test_losses_on_magnitudes_reach_their_own_decoder(tmp_path: Path, teacher: Path) -> None:
    more = "loss.mel=0", "loss.magnitude=30", "loss.semantic_magnitude=20", "loss.semantic_fade_steps=4"
    run = _run(training_runs.config(teacher, *more), tmp_path)
    batches, counts = _one_batch(run)
    output = loop.forward(run, 0, batches[0])
    terms = {term.name: term for term in run.objective.terms(output, batches[0], None, counts)}
    assert "mel" not in terms
    model: Any = run.model
    terms["magnitude"].value.backward(retain_graph=True)
    assert _reached(model.decoder)
    assert not _reached(model.aux_decoder)
    run.model.zero_grad(set_to_none=True)
    (term,) = run.objective.fading_terms(output, batches[0], counts, 1)
    assert (term.name, term.weight) == ("semantic_magnitude", 15.0)
    term.value.backward()
    assert _reached(model.aux_decoder)
    assert not _reached(model.decoder)
    with pytest.raises(UsageError, match=r"loss.magnitude = 0"):
        run.objective.terms(replace(output, spectrum=None), batches[0], None, counts)


def test_discriminators_are_frozen_in_the_generator_step(tmp_path: Path, teacher: Path) -> None:
    run = _run(training_runs.config(teacher), tmp_path)
    batches, counts = _one_batch(run)
    output = loop.forward(run, 0, batches[0])
    loop.generator_step(run, 0, batches, output, counts, adversarial=True)
    assert all(p.grad is None for p in run.discriminators.parameters())
    assert all(p.requires_grad for p in run.discriminators.parameters())
    assert _reached(run.model)


@pytest.mark.slow
def test_a_decoder_alone_trains_against_its_magnitudes_and_leaves_the_tokens(tmp_path: Path) -> None:
    overrides = 'model.overrides=["training.decoder_only=true", "training.codebook_dropout=0.3"]'
    config = resolve(
        "lmspt", "mini-12.5hz", [str(training_runs.CORPUS)], ["cpu", "decoder"],
        ["log.tensorboard=false", "data.segment_s=0.64", "data.batch_size=2", "discriminators.magnitude_channels=2",
         "generator.warmup_steps=1", overrides], None,
    )  # fmt: skip
    run = _run(config, tmp_path)
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    (report,) = _steps(run, 2, 2)
    assert {"adversarial", "feature_matching", "discriminator", "magnitude", "pitch"} <= set(report.losses)
    changed = {n.split(".")[0] for n, v in run.model.state_dict().items() if not torch.equal(v, before[n])}
    assert changed == {"decoder"}
    assert not all(p.grad is None for p in run.discriminators.parameters())


def test_the_adversarial_loss_can_start_late(tmp_path: Path, teacher: Path) -> None:
    run = _run(training_runs.config(teacher, "loss.adversarial_start_step=1"), tmp_path)
    before = [p.clone() for p in run.discriminators.parameters()]
    early, late = _steps(run, 2, 1)
    assert "adversarial" not in early.losses
    assert "discriminator" not in early.losses
    assert late.losses["adversarial"] > 0
    assert not all(torch.equal(a, b) for a, b in zip(before, run.discriminators.parameters(), strict=True))


def _weights(run: Run) -> dict[str, Tensor]:
    return {f"{n}.{k}": v.clone() for n, m in run.state().modules.items() for k, v in m.state_dict().items()}


def test_micro_batches_give_the_same_step_as_one_batch(tmp_path: Path, teacher: Path) -> None:
    """Two accumulated halves against the whole, gradient codebooks, float64 (k-means starts need the whole batch)."""
    shared = ("precision=fp64", 'model.overrides=["quantizer.update=\'gradient\'", "quantizer.start_step=0"]')
    results = []
    for parts in (1, 2):
        run = _run(training_runs.config(teacher, *shared, f"micro_batches={parts}"), tmp_path / str(parts))
        _steps(run, 4, 1)
        results.append({k: v for k, v in _weights(run).items() if "vocab_usage" not in k})
    for name, value in results[0].items():
        torch.testing.assert_close(results[1][name], value, rtol=1e-7, atol=1e-9, msg=name)


def test_no_distillation_and_feature_distillation_are_settings(tmp_path: Path, teacher: Path) -> None:
    run = _run(training_runs.config(teacher, "distillation.kind=none"), tmp_path)
    assert "distillation" not in _steps(run, 1, 1)[0].losses
    overrides = 'model.overrides=["training.distillation_head_dim=32"]'
    run = _run(training_runs.config(teacher, "distillation.kind=feature", overrides), tmp_path)
    assert _steps(run, 1, 1)[0].losses["distillation"] > 0
    assert run.objective.distillation_weight == 120.0


# -- trouble ---------------------------------------------------------------------------------------------------------


def test_nan_stops_with_step_utterances_and_state(
    tmp_path: Path, teacher: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _run(training_runs.config(teacher), tmp_path)
    _steps(run, 1, 1)
    before = {k: v.clone() for k, v in run.model.state_dict().items()}
    batches = next(batches_of(run))
    monkeypatch.setattr(run.objective.mel, "forward", lambda a, b: a.sum(dim=(1, 2)) * float("nan"))
    with pytest.raises(TrainingStopped, match=r"step 1: the generator's gradient is not finite") as stopped:
        train_step(run, 1, batches)
    folder = tmp_path / "checkpoints" / "failed-00000001"
    ids = (folder / "utterances.txt").read_text().split()
    assert ids == list(batches[0].ids)
    assert ids[0] in str(stopped.value)
    from safetensors.torch import load_file

    saved = load_file(folder / "model.safetensors")
    assert all(torch.equal(saved[k], v) for k, v in before.items() if "quantizer" not in k)


def test_full_disk_leaves_the_last_good_checkpoint(
    tmp_path: Path, teacher: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _run(training_runs.config(teacher), tmp_path)
    good = run.checkpoints.save(run.state())
    run.progress.step = 7
    real = checkpoints.save_file

    def full(tensors: dict[str, Tensor], path: Path) -> None:
        if path.name.startswith("discriminators"):
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        real(tensors, path)

    monkeypatch.setattr(checkpoints, "save_file", full)
    with pytest.raises(CheckpointError, match=f"the disk is full; the last good one is {good}"):
        run.checkpoints.save(run.state())
    assert [p.name for p in run.checkpoints.folder.iterdir()] == [good.name]
    run.checkpoints.load_last(run.state())


def test_corrupt_audio_above_the_limit_stops(tmp_path: Path, teacher: Path) -> None:
    run = _run(training_runs.config(teacher, "data.max_corrupt_share=0.1"), tmp_path)
    run.progress.step, run.progress.samples, run.progress.skipped = 10, 40, 4
    loop.log(run, None)
    run.progress.skipped = 5
    with pytest.raises(TrainingStopped, match="5 of 45 utterances drawn so far could not be read"):
        loop.log(run, None)


# -- checkpoints ------------------------------------------------------------------------------------------------------


def test_old_checkpoints_go_the_best_and_the_newest_stay(tmp_path: Path, teacher: Path) -> None:
    run = _run(training_runs.config(teacher, "log.keep_checkpoints=2"), tmp_path)
    for step in (1, 2, 3, 4, 5):
        run.progress.step = step
        run.progress.best_step = 2
        run.checkpoints.save(run.state())
    assert run.checkpoints.steps() == [2, 4, 5]


def test_a_foreign_or_damaged_checkpoint_is_refused(tmp_path: Path, teacher: Path) -> None:
    run = _run(training_runs.config(teacher), tmp_path)
    saved = run.checkpoints.save(run.state())
    other = _run(training_runs.config(teacher, 'model.overrides=["latent_width=64"]'), tmp_path)
    with pytest.raises(CheckpointError, match="cannot be read"):
        checkpoints.load(saved, other.state())
    state = (saved / "state.pt").read_bytes()
    (saved / "state.pt").write_bytes(state[: len(state) // 2])
    with pytest.raises(CheckpointError, match="cannot be read"):
        checkpoints.load(saved, run.state())


def test_a_pickle_with_code_in_it_is_not_run(tmp_path: Path, teacher: Path) -> None:
    run = _run(training_runs.config(teacher), tmp_path)
    saved = run.checkpoints.save(run.state())
    torch.save({"progress": {}, "x": _Bomb()}, saved / "state.pt")
    with pytest.raises(CheckpointError, match="Weights only load failed"):
        checkpoints.load(saved, run.state())
    assert not _Bomb.went_off


class _Bomb:
    went_off = False

    def __reduce__(self) -> Any:
        return (_Bomb._go, ())

    @staticmethod
    def _go() -> None:
        _Bomb.went_off = True


# -- telemetry --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "perplexity", "entropy", "unused"),
    [([5, 5, 5, 5], 4.0, 1.0, 0), ([9, 0, 0, 0], 1.0, 0.0, 3), ([1, 1, 0, 0], 2.0, 0.5, 2)],
)
def test_book_health(counts: Sequence[float], perplexity: float, entropy: float, unused: int) -> None:
    health = book_health(torch.tensor(counts, dtype=torch.float32))
    assert health.perplexity == pytest.approx(perplexity)
    assert health.normalised_entropy == pytest.approx(entropy)
    assert health.unused == unused


def test_a_run_folder_is_not_overwritten(tmp_path: Path, teacher: Path) -> None:
    from click.testing import CliRunner

    from codecbench_train.cli import train

    run = _run(training_runs.config(teacher), tmp_path)
    run.checkpoints.save(run.state())
    result = CliRunner().invoke(train, ["lmspt", "--preset", "tiny", "--out", str(tmp_path)])
    assert isinstance(result.exception, UsageError)
    assert "--resume" in str(result.exception)


def test_settings_of_both_optimizers_are_independent(tmp_path: Path, teacher: Path) -> None:
    config = training_runs.config(teacher)
    still = replace(config.discriminator, peak=0.0, final=0.0)
    run = _run(replace(config, discriminator=still), tmp_path)
    before, model = [p.clone() for p in run.discriminators.parameters()], _weights(run)
    _steps(run, 2, 1)
    assert all(torch.equal(a, b) for a, b in zip(before, run.discriminators.parameters(), strict=True))
    assert any(not torch.equal(model[k], v) for k, v in _weights(run).items() if k.startswith("model."))


START = 'model.overrides=["quantizer.start_step=2"]'


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, teacher: Path) -> Run:
    """A run of a few steps, its codebooks started."""
    run = _run(training_runs.config(teacher, "steps=6", START), tmp_path_factory.mktemp("first"))
    for batches in batches_of(run):
        train_step(run, run.progress.step, batches)
        run.progress.step += 1
    loop.save(run)
    return run


@pytest.mark.parametrize("source", ["weights/last.safetensors", "checkpoints/step-00000006"])
def test_a_run_starts_from_exported_weights_or_a_checkpoint(
    tmp_path: Path, teacher: Path, trained: Run, source: str
) -> None:
    again = set_up(training_runs.config(teacher, "steps=6", START), tmp_path, trained.out / source)
    assert again.anew == ()
    before, after = (dict(run.best_model.named_parameters()) for run in (trained, again))
    for name, value in after.items():
        torch.testing.assert_close(value, before[name], rtol=1e-3, atol=1e-4, msg=name)  # exported as fp16
    batches, _ = _one_batch(again)
    output = loop.forward(again, 0, batches[0])
    assert float(output.commitment.acoustic.detach().sum()) > 0, "the codebooks go on, they do not wait for a start"


def test_another_rate_starts_from_the_weights_that_fit(
    tmp_path: Path, teacher: Path, trained: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    more = 'model.overrides=["quantizer.semantic_size=48", "quantizer.start_step=0"]', "steps=1"
    run = loop.train(
        training_runs.config(teacher, *more), tmp_path, resume=False,
        start_from=trained.out / "weights" / "last.safetensors",
    )  # fmt: skip
    assert set(run.anew) == {"quantizer.rvq_first.quantizers.0.codebook.weight", "quantizer.semantic_vocab_usage"}
    assert "start anew, since they do not fit: 2 weights" in capsys.readouterr().out


def test_starting_from_something_else_is_refused(tmp_path: Path, teacher: Path) -> None:
    config = training_runs.config(teacher)
    other = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(2)}, other)
    (tmp_path / "text.safetensors").write_text("no weights")
    for source, message in ((other, "of another model"), (tmp_path, "neither a weight file nor a checkpoint"),
                            (tmp_path / "text.safetensors", "not a safetensors file")):  # fmt: skip
        with pytest.raises(UsageError, match=message):
            set_up(config, tmp_path / "run", source)


def test_a_resumed_run_takes_its_settings_from_the_configuration(tmp_path: Path, teacher: Path, trained: Run) -> None:
    more = "steps=6", START, "generator.betas=[0.5, 0.99]", "generator.weight_decay=0.2"
    run = set_up(training_runs.config(teacher, *more), tmp_path)
    checkpoints.load(trained.checkpoints.path(6), run.state())
    decaying, spared = run.generator_optimizer.param_groups
    assert decaying["betas"] == spared["betas"] == (0.5, 0.99)
    assert (decaying["weight_decay"], spared["weight_decay"]) == (0.2, 0.0)
    parameter = decaying["params"][0]
    assert float(run.generator_optimizer.state[parameter]["exp_avg"].abs().sum()) > 0
