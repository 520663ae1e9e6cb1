"""Scoring of generated speech, in processes beside each other; what the store holds is not scored again."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from codecbench.audio.reading import read_audio
from codecbench.contracts.audio import Utterance
from codecbench.contracts.metric import Measurement, ScoreItem, Status
from codecbench.errors import CodecbenchError
from codecbench.hashing import digest
from codecbench.loading import Settings
from codecbench.options import parse_settings
from codecbench.plugins import load_plugins
from codecbench.registering import Registry
from codecbench.runner.config import available_cores
from codecbench.runner.messages import ScorerRef
from codecbench.runner.scoring import PreparedScorer, failed, make_scorer, prepare_recognizer, prepare_scorer
from codecbench.store.scores import ScoreStore
from codecbench_slm.encoding import Workplace
from codecbench_slm.specs import HEARD_ALONE, TTS_SPEAKER, TTS_WORDS

# Utterances handed out ahead of the processes: enough that none waits, few enough to stay small in memory.
AHEAD = 4


@dataclass(frozen=True)
class Audio:
    """Generated audio float32 [T]."""

    samples: np.ndarray
    sample_rate_hz: int


@dataclass(frozen=True)
class Spoken:
    """Speech to be scored: the utterance whose text it says, the audio, and what identifies it."""

    utterance: Utterance
    audio: Audio
    identity: str


def tts_scorers(place: Workplace, recognizers: Sequence[str], settings: Sequence[str]) -> tuple[PreparedScorer, ...]:
    """The scorers of generated speech: words for each recogniser, voice, and what hears speech alone."""
    registry, given = place.host.registry, parse_settings(settings)
    names = recognizers or [r.spec.name for r in registry.recognizers.values() if r.spec.default]
    words = [prepare_scorer(registry, TTS_WORDS.name, given, prepare_recognizer(registry, n, given)) for n in names]
    others = [TTS_SPEAKER.name, *(name for name in HEARD_ALONE if name in registry.scorers)]
    return (*words, *(prepare_scorer(registry, name, given, None) for name in others))


def score_key(scorer: PreparedScorer, identity: str, utterance: Utterance) -> str:
    """Store key of one scorer's measurements of generated speech."""
    return digest([dict(scorer.identity), identity, utterance.sha256, utterance.text, utterance.language])


def scores_of(
    place: Workplace,
    label: str,
    utterances: Sequence[Utterance],
    scorers: Sequence[PreparedScorer],
    store: ScoreStore,
    settings: Sequence[str],
    identity: Callable[[Utterance], str],
    spoken: Callable[[Sequence[Utterance]], Iterable[Spoken]],
) -> dict[str, list[Measurement]]:
    """Measurements of each utterance by id; ``spoken`` makes the speech of those that ``store`` lacks some of."""
    keys = {u.id: [score_key(scorer, identity(u), u) for scorer in scorers] for u in utterances}
    missing = [u for u in utterances if not all(store.done(key) for key in keys[u.id])]
    place.progress.start(f"score {label}", len(missing) * len(scorers))
    if missing:
        score_spoken(place, label, spoken(missing), scorers, store, settings)
    return {name: [m for key in own for m in store.get(key) or ()] for name, own in keys.items()}


def score_spoken(
    place: Workplace,
    label: str,
    spoken: Iterable[Spoken],
    scorers: Sequence[PreparedScorer],
    store: ScoreStore,
    settings: Sequence[str],
) -> None:
    """Score what ``store`` lacks; measurements go there as they come.

    Raises CodecbenchError where a process dies; what was scored before is kept.
    """
    tasks = _tasks(label, spoken, scorers, store)
    try:
        for key, measurements in _answers(place, tasks, parse_settings(settings)):
            store.put(key, measurements)
            place.progress.advance(f"score {label}")
    except BrokenProcessPool as error:
        raise CodecbenchError(
            f"a process that scored the speech of '{label}' died (often of too little memory); what it had scored is "
            "kept, and the same command goes on from there"
        ) from error
    finally:
        store.flush()


@dataclass(frozen=True)
class _Task:
    label: str
    spoken: Spoken
    scorer: PreparedScorer
    key: str


def _tasks(
    label: str, spoken: Iterable[Spoken], scorers: Sequence[PreparedScorer], store: ScoreStore
) -> Iterator[_Task]:
    for item in spoken:
        for scorer in scorers:
            key = score_key(scorer, item.identity, item.utterance)
            if not store.done(key):
                yield _Task(label, item, scorer, key)


def _answers(
    place: Workplace, tasks: Iterator[_Task], settings: Settings
) -> Iterator[tuple[str, Sequence[Measurement]]]:
    running: dict[Future[Sequence[Measurement]], str] = {}
    files = tuple(path.resolve() for path in place.plugin_files)
    # Spawned: this process has threads, and perhaps a GPU, which must not be forked.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(available_cores(), spawn, _start, (files, settings)) as pool:
        for task in tasks:
            if task.scorer.unavailable is not None:
                yield task.key, task.scorer.failed(Status.UNAVAILABLE, str(task.scorer.unavailable))
                continue
            running[pool.submit(_score, task.label, task.spoken, task.scorer.ref)] = task.key
            while len(running) >= AHEAD * available_cores():
                yield from _finished(running)
        while running:
            yield from _finished(running)


def _finished(
    running: dict[Future[Sequence[Measurement]], str],
) -> Iterator[tuple[str, Sequence[Measurement]]]:
    for future in wait(running, return_when=FIRST_COMPLETED).done:
        yield running.pop(future), future.result()


class _Scorers:
    """The scorers of one process, each made when it is first used."""

    def __init__(self, files: Sequence[Path], settings: Settings) -> None:
        import torch

        torch.set_num_threads(1)
        self.registry: Registry = load_plugins(files).registry
        self._settings, self._made = settings, dict[ScorerRef, object]()

    def score(self, ref: ScorerRef, item: ScoreItem) -> Sequence[Measurement]:
        """Score one item; what a scorer raises becomes measurements that say so."""
        try:
            if ref not in self._made:
                self._made[ref] = make_scorer(self.registry, ref, self._settings, 1)
            found: Sequence[Measurement] = self._made[ref].score(item)  # type: ignore[attr-defined]
            return tuple(found)
        except Exception as error:  # a scorer's fault costs this utterance's values of its own
            reason = f"scorer '{ref.name}': {type(error).__name__}: {error}"
            return failed(self.registry.scorers[ref.name].spec, ref, Status.BACKEND_ERROR, reason)


_process: _Scorers | None = None


def _start(files: Sequence[Path], settings: Settings) -> None:
    global _process
    _process = _Scorers(files, settings)


def _score(label: str, spoken: Spoken, ref: ScorerRef) -> Sequence[Measurement]:
    assert _process is not None
    reference, rate_hz = read_audio(spoken.utterance)
    audio = spoken.audio
    item = ScoreItem(spoken.utterance, label, reference, rate_hz, audio.samples, audio.sample_rate_hz)
    return _process.score(ref, item)
