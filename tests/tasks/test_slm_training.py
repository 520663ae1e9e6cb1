"""Training and judging on a language of tones: an overfitted model is right in both directions, and resumes exactly."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import slm_plugin
import soundfile
import torch

from codecbench import Unavailable, UsageError
from codecbench.errors import CodecbenchError
from codecbench.plugins import load_plugins
from codecbench.results import RunResults
from codecbench_slm import generate, scoring, train
from codecbench_slm.cli import resolve
from codecbench_slm.compare import compare, plan
from codecbench_slm.config import GenerationConfig, SlmConfig
from codecbench_slm.corpus import read_sources
from codecbench_slm.dataset import Steps, open_dataset
from codecbench_slm.encoding import Workplace, encode
from codecbench_slm.evaluate import EvalRequest, evaluate
from codecbench_slm.speech import SpeechFormat
from codecbench_slm.table import figures, write_table
from codecbench_slm.trained import is_finished, load_trained

torch.set_num_threads(1)
PLUGIN = Path(slm_plugin.__file__)
TINY = (
    "model.layers=2", "model.width=64", "model.heads=2", "model.feed_forward=128", "model.max_positions=256",
    "batch_size=10", "optimizer.peak=3e-3", "optimizer.final=1e-4", "optimizer.warmup_steps=5", "log.tensorboard=false",
    "data.min_duration_s=0.1", "generation.temperature=0", "generation.max_speech_s=1.5",
    "generation.max_text_tokens=20",
)  # fmt: skip
EAR = EvalRequest(recognizers=("tone-ear",))
WARM = GenerationConfig(temperature=2.0, max_speech_s=1.5, max_text_tokens=20)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return slm_plugin.write_corpus(tmp_path_factory.mktemp("corpus"), 10)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return Workplace(load_plugins([PLUGIN]), tmp_path_factory.mktemp("store"), plugin_files=(PLUGIN,))


class InProcess:
    """Stands in for the pool of processes, each of which takes seconds to start."""

    def __init__(self, workers: int, context: Any, start: Any, arguments: tuple[Any, ...]) -> None:
        start(*arguments)

    def __enter__(self) -> InProcess:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, function: Any, *arguments: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(function(*arguments))
        return done


@pytest.fixture(autouse=True)
def _one_process(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "overfitted_model" not in request.node.name:
        monkeypatch.setattr(scoring, "ProcessPoolExecutor", InProcess)


@pytest.fixture(autouse=True)
def _words_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models of quality and voice say nothing of tones, and take seconds to load."""
    monkeypatch.setattr(scoring, "HEARD_ALONE", ())
    words = scoring.tts_scorers

    def only_words(*arguments: Any) -> Any:
        return tuple(s for s in words(*arguments) if s.ref.name == "slm_tts_words")

    monkeypatch.setattr("codecbench_slm.evaluate.tts_scorers", only_words)


def configured(corpus: Path, *settings: str, codec: str = "tones", data: str = "") -> SlmConfig:
    return resolve((), (*TINY, *settings), (f"{corpus}{data}",), codec)


def row(results: RunResults, codec: str, metric: str) -> float:
    is_heard = metric.startswith(("tts_", "resynthesis_")) and metric != "tts_unfinished"
    component = "tone-ear" if is_heard else ""
    found = results.summary.get(codec, metric, component)
    assert found is not None, metric
    assert found.estimate is not None, (metric, found)
    return found.estimate


@pytest.fixture(scope="module")
def overfitted(corpus: Path, place: Workplace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("overfitted")
    train.train(configured(corpus, "steps=220"), out, place, resume=False)
    return out


def test_an_overfitted_model_makes_no_error_in_either_direction(
    overfitted: Path, corpus: Path, place: Workplace, tmp_path: Path
) -> None:
    results = evaluate([overfitted], tmp_path, place, EvalRequest((str(corpus),), ("tone-ear",)))
    assert row(results, "identity", "tts_wer") == 0, "the recogniser does not understand the recordings"
    for metric in ("stt_wer", "stt_cer", "tts_wer", "tts_cer", "tts_repetitions", "stt_unfinished", "tts_unfinished"):
        assert row(results, "tones", metric) == 0, metric
    assert row(results, "tones", "token_rate") == pytest.approx(100, rel=0.02)
    # What was generated decodes to the very recordings.
    for name in results.artifacts.utterances:
        reference, output = results.artifacts.reference(name), results.artifacts.audio("tones", name)
        assert reference is not None
        assert output is not None
        (a, _), (b, _) = soundfile.read(reference), soundfile.read(output)
        assert a.shape == b.shape
        assert abs(a - b).max() < 1e-3


def test_what_is_judged_is_not_judged_again(
    overfitted: Path, corpus: Path, place: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = EvalRequest((str(corpus),), ("tone-ear",))
    first = evaluate([overfitted], tmp_path / "a", place, request)

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("generated or scored again")

    monkeypatch.setattr(generate.Generator, "batch", never)
    monkeypatch.setattr(InProcess, "submit", never)
    again = evaluate([overfitted], tmp_path / "b", place, request)
    assert again.records.equals(first.records)


def test_an_untrained_model_makes_errors(corpus: Path, place: Workplace, tmp_path: Path) -> None:
    """The measure can fail: the same evaluation of a model that has learnt nothing."""
    train.train(configured(corpus, "steps=1"), tmp_path / "m", place, resume=False)
    results = evaluate([tmp_path / "m"], tmp_path / "r", place, EvalRequest((str(corpus),), ("tone-ear",)))
    assert row(results, "tones", "stt_wer") > 50
    assert row(results, "tones", "tts_wer") > 50
    assert row(results, "tones", "resynthesis_wer") == 0, "the codec alone loses nothing"


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_trained(folder).model.state_dict()


def _equal(a: Path, b: Path) -> bool:
    first, second = _weights(a), _weights(b)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


SHORT = ("steps=8", "batch_size=4", "log.save_every_steps=3", "log.validate_every_steps=4")


@pytest.fixture(scope="module")
def whole(corpus: Path, place: Workplace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole")
    train.train(configured(corpus, *SHORT, data=",dev=2"), out, place, resume=False)
    return out


def command(out: Path, corpus: Path, place: Workplace, *settings: str) -> list[str]:
    """The command line of the run ``whole``."""
    call = [sys.executable, "-c", "from codecbench_slm.cli import train_command as t; t()", "--codec", "tones"]
    call += ["--out", str(out), "--store", str(place.store), "--plugin", str(PLUGIN), "--data", f"{corpus},dev=2"]
    return call + [part for setting in (*TINY, *SHORT, *settings) for part in ("--set", setting)]


def environment(**more: str) -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"} | more


def test_a_killed_run_resumes_to_the_same_weights(whole: Path, corpus: Path, place: Workplace, tmp_path: Path) -> None:
    """Killed by SIGKILL right after a checkpoint, in a process of its own."""
    out = tmp_path / "killed"
    call = command(out, corpus, place, "log.every_steps=1")
    process = subprocess.Popen(call, stdout=subprocess.PIPE, text=True, env=environment())
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("step 4/"):
            process.send_signal(signal.SIGKILL)
            break
    process.wait()
    process.stdout.close()
    assert process.returncode == -signal.SIGKILL
    steps = sorted(p.name for p in (out / "checkpoints").glob("step-*"))
    assert steps[0] == "step-00000003"
    assert not is_finished(out)
    config = configured(corpus, *SHORT, data=",dev=2")
    train.train(config, out, place, resume=True)
    assert _equal(whole, out)


def test_a_stop_that_was_asked_for_resumes_to_the_same_weights(
    whole: Path, corpus: Path, place: Workplace, tmp_path: Path
) -> None:
    config = configured(corpus, *SHORT, data=",dev=2")
    run = train.train(config, tmp_path, place, resume=False, minutes=1e-9)
    assert run.progress.step == 1
    assert not run.finished
    assert train.train(config, tmp_path, place, resume=True).finished
    assert _equal(whole, tmp_path)


def test_micro_batches_change_nothing(whole: Path, corpus: Path, place: Workplace, tmp_path: Path) -> None:
    config = configured(corpus, *SHORT, "micro_batches=2", data=",dev=2")
    train.train(config, tmp_path, place, resume=False)
    for name, value in _weights(whole).items():
        torch.testing.assert_close(_weights(tmp_path)[name], value, rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.slow
def test_two_ranks_are_one(whole: Path, corpus: Path, place: Workplace, tmp_path: Path) -> None:
    """Two processes with half the batch each, as torchrun starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    call = command(tmp_path, corpus, place)
    ranks = [
        subprocess.Popen(call, env=environment(**shared, RANK=rank, LOCAL_RANK=rank), stdout=subprocess.PIPE, text=True)
        for rank in ("0", "1")
    ]
    outputs = [process.communicate(timeout=300)[0] for process in ranks]
    assert [process.returncode for process in ranks] == [0, 0], outputs
    assert "2 x cpu" in outputs[0]
    assert load_trained(tmp_path).facts.audio_s == pytest.approx(load_trained(whole).facts.audio_s)
    for name, value in _weights(whole).items():
        torch.testing.assert_close(_weights(tmp_path)[name], value, rtol=1e-3, atol=1e-4, msg=name)


def test_other_data_are_not_resumed_on(whole: Path, place: Workplace, tmp_path: Path) -> None:
    other = slm_plugin.write_corpus(tmp_path / "other", 10, seed=1)
    with pytest.raises(UsageError, match="changed since the run began"):
        train.train(configured(other, *SHORT, data=",dev=2"), whole, place, resume=True)


def test_each_utterance_comes_once_for_each_task_and_alike_for_every_codec(corpus: Path, place: Workplace) -> None:
    drawn: list[Sequence[tuple[str, str]]] = []
    for codec in ("tones", "tones@1"):
        config = configured(corpus, codec=codec)
        steps = Steps(open_dataset(place, config), config)
        drawn.append([(example.id, task) for example, task in (steps.draw(i) for i in range(20))])
    assert sorted(drawn[0]) == sorted((f"u{n}", task) for n in range(10) for task in ("stt", "tts"))
    assert drawn[1] == drawn[0]


def test_a_text_that_is_held_out_is_not_trained_on(place: Workplace, tmp_path: Path) -> None:
    corpus = slm_plugin.write_corpus(tmp_path, 8)
    lines = corpus.read_text().splitlines()
    corpus.write_text("\n".join(lines + [line.replace('"id": "u', '"id": "again') for line in lines]) + "\n")
    split = read_sources(place.host.registry, configured(corpus, data=",dev=2,test=3").data)
    held = {u.text for u in split.dev + split.test}
    assert len(split.dev + split.test) == 5
    assert held.isdisjoint({u.text for u in split.train})


def test_a_codec_without_tokens_is_refused(corpus: Path, place: Workplace) -> None:
    config = configured(corpus, codec="tones-bytes")
    split = read_sources(place.host.registry, config.data)
    encodings = encode(place, config, split.everything)
    with pytest.raises(Unavailable, match=r"tones-bytes.*bit stream"):
        SpeechFormat.of("tones-bytes", encodings.prepared.spec, encodings.get(split.train[0]))


def test_codecs_and_seeds_become_one_table(corpus: Path, place: Workplace, tmp_path: Path) -> None:
    base = configured(corpus, "steps=2", "batch_size=4", data=",test=6")
    comparison = plan(base, ["tones", "tones@1"], [0, 1], tmp_path, place)
    told: list[str] = []
    assert compare(comparison, tmp_path, place, EAR, told.append)
    results = RunResults.load(tmp_path / "results")
    assert results.codecs == ("identity", "tones", "tones@1")
    found = {(f.codec, f.metric.name): f for f in figures(results)}
    assert found["tones", "stt_wer"].num_seeds == 2
    assert found["tones", "stt_wer"].num_utterances == 6
    assert found["tones@1", "token_rate"].interval.estimate == pytest.approx(50, rel=0.02)
    heard = found["tones", "resynthesis_wer"]
    assert (heard.interval.estimate, heard.num_utterances, heard.num_seeds) == (0, 6, 1)
    assert ("identity", "resynthesis_wer") not in found
    text = write_table([results], tmp_path)[0].read_text("utf-8")
    assert "| identity |" in text
    assert "Resynthesis WER ↓ (%, tone-ear)" in text
    assert "2 training seeds" in text
    models = sorted((tmp_path / "models").glob("*/*/model.safetensors"))
    before = [path.stat().st_mtime_ns for path in models]
    assert len(models) == 4
    warmer = replace(comparison, configs=tuple(replace(c, generation=WARM) for c in comparison.configs))
    assert compare(warmer, tmp_path, place, EAR, told.append)
    assert [path.stat().st_mtime_ns for path in models] == before
    assert json.loads(RunResults.load(tmp_path / "results").info.settings["slm"]["generation"])["temperature"] == 2.0
    longer = replace(comparison, configs=tuple(replace(c, steps=3) for c in comparison.configs))
    with pytest.raises(CodecbenchError, match="another configuration"):
        compare(longer, tmp_path, place, EAR, told.append)
    budgets = {note.partition(" of ")[2].rpartition(",")[0] for c in results.info.codecs for note in c.notes}
    assert len(budgets) == 1, "the codecs had different budgets"


def test_a_pretrained_backbone_from_a_folder(corpus: Path, place: Workplace, tmp_path: Path) -> None:
    from tokenizers import Tokenizer
    from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

    from codecbench_slm.text import learn

    folder = tmp_path / "backbone"
    text = learn("bpe", ["abba cab", "a b c"], 270)
    folder.mkdir()
    text.save(folder)
    made = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_file(str(folder / "tokenizer.json")))
    made.eos_token = "<eos>"
    made.save_pretrained(str(folder))
    sizes = LlamaConfig(
        vocab_size=280, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, tie_word_embeddings=True,
    )  # fmt: skip
    AutoModelForCausalLM.from_config(sizes).save_pretrained(str(folder))
    config = configured(
        corpus, "steps=2", "batch_size=4", f"model.backbone={folder}", "text.kind=backbone", "tasks=stt"
    )
    train.train(config, tmp_path / "m", place, resume=False)
    results = evaluate([tmp_path / "m"], tmp_path / "r", place, EvalRequest((str(corpus),), ("tone-ear",), limit=2))
    assert row(results, "tones", "stt_wer") > 0
    assert results.summary.get("tones", "tts_wer", "tone-ear") is None
