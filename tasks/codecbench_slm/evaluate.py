"""``codecbench slm eval``: trained models on test utterances, as an ordinary run folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from codecbench.artifacts import Artifact, relative, write_artifacts
from codecbench.audio.reading import read_audio
from codecbench.combining import save_combined
from codecbench.contracts.audio import Utterance
from codecbench.contracts.metric import Measurement, MetricSpec, Record
from codecbench.errors import UsageError
from codecbench.loading import prepare
from codecbench.results import RunResults
from codecbench.runinfo import CodecInfo
from codecbench.runner.scoring import PreparedScorer
from codecbench.store.scores import ScoreStore
from codecbench_slm.config import DataConfig, GenerationConfig
from codecbench_slm.corpus import read_sources, usable
from codecbench_slm.decoding import resynthesis
from codecbench_slm.describing import CEILING, codec_info, make_record, metrics_of, run_info
from codecbench_slm.encoding import Encodings, Workplace, encode, require_tokens
from codecbench_slm.judging import Subject, measure
from codecbench_slm.scoring import Audio, Spoken, scores_of, tts_scorers
from codecbench_slm.seeds import merged
from codecbench_slm.speaking import as_spoken, audio_store, speech_key
from codecbench_slm.trained import TrainingFacts, load_config, load_trained


@dataclass(frozen=True)
class EvalRequest:
    """What to evaluate with. sources: other test data than what was held out. settings: OWNER.OPTION=VALUE.

    generation: replaces that of the models' own configuration.
    """

    sources: tuple[str, ...] = ()
    recognizers: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    generation: GenerationConfig | None = None
    limit: int | None = None
    command: tuple[str, ...] = ()


def evaluate(folders: Sequence[Path], out: Path, place: Workplace, request: EvalRequest) -> RunResults:
    """Evaluate the models in ``folders``; those of one codec with different seeds become one row.

    Raises UsageError where models of one codec were not trained alike, or test data are missing.
    """
    groups = group_models(folders)
    config = load_config(next(iter(groups.values()))[0])
    test, encoded = test_utterances(place, config.data, request)
    scorers = tts_scorers(place, request.recognizers, request.settings)
    metrics = metrics_of(scorers)
    records = list(_ceiling(place, test, scorers, metrics, request))
    infos = [codec_info(prepare(place.host.registry, CEILING, {}, place.device), CEILING)]
    artifacts: list[Artifact] = []
    for label, part in groups.items():
        codec = _Codec(place, label, part, test, encoded, scorers, request)
        records += codec.records(metrics)
        infos.append(codec.info())
        artifacts += codec.artifacts(out)
    shown = replace(config, codec="", seed=0, generation=request.generation or config.generation)
    info = run_info(place, out.name, request.command, test, infos, metrics, scorers, request.settings, shown)
    save_combined(RunResults.from_records(info, records), out)
    write_artifacts(out, artifacts)
    return RunResults.load(out)


def test_utterances(
    place: Workplace, data: DataConfig, request: EvalRequest
) -> tuple[tuple[Utterance, ...], tuple[Utterance, ...]]:
    """The utterances to evaluate on (what training held out, or other sources whole), and those to encode with them."""
    if request.sources:
        test = encoded = tuple(u for path in request.sources for u in usable(place.host.registry, path, data))
    else:
        split = read_sources(place.host.registry, data)
        test, encoded = split.test, split.everything
    if not test:
        raise UsageError("no test utterances: hold some out in training ([[data.sources]] test = N) or give --data")
    return test[: request.limit], encoded


def group_models(folders: Sequence[Path]) -> dict[str, list[Path]]:
    """Put models of one codec together; raises UsageError where they differ in more than the seed, or not in it."""
    groups: dict[str, list[Path]] = {}
    for folder in folders:
        config = load_config(folder)
        others = groups.setdefault(config.codec, [])
        if any(load_config(other).seed == config.seed for other in others):
            raise UsageError(f"{folder}: another model of codec '{config.codec}' has the seed {config.seed} too")
        if others and replace(load_config(others[0]), seed=config.seed) != config:
            raise UsageError(f"{folder} and {others[0]} are of codec '{config.codec}' but were not configured alike")
        others.append(folder)
    if not groups:
        raise UsageError("give the folders of trained models")
    return groups


@dataclass(frozen=True, eq=False)
class _Codec:
    """All models of one codec."""

    place: Workplace
    label: str
    folders: Sequence[Path]
    test: Sequence[Utterance]
    encoded: Sequence[Utterance]
    scorers: Sequence[PreparedScorer]
    request: EvalRequest

    @cached_property
    def encodings(self) -> Encodings:
        """The tokens of the test utterances; what the store lacks is encoded."""
        made = encode(self.place, load_config(self.folders[0]), self.encoded)
        require_tokens(made, self.test)
        return made

    def _subject(self, folder: Path) -> Subject:
        trained = load_trained(folder, self.place.device)
        generation = self.request.generation or trained.config.generation
        return Subject(self.place, trained, generation, tuple(self.test), self.encodings)

    def records(self, metrics: Mapping[str, MetricSpec]) -> Iterator[Record]:
        """Yield the rates of the tokens and the merged figures of all seeds."""
        found: dict[int, dict[str, list[Measurement]]] = {}
        tested = {utterance.id for utterance in self.test}
        rates = (r for r in self.encodings.records() if r.metric in metrics and r.utterance_id in tested)
        yield from (replace(record, codec=self.label) for record in rates)
        alone = resynthesis(self.place, self.encodings, self.test, self.scorers, self.request.settings)
        for folder in self.folders:
            subject = self._subject(folder)
            found[subject.trained.config.seed] = measure(subject, self.scorers, self.request.settings)
        for utterance in self.test:
            by_seed = {seed: rows[utterance.id] for seed, rows in found.items()}
            for m in (*merged(by_seed, metrics), *alone[utterance.id]):
                yield make_record(self.label, utterance, m, metrics[m.metric])

    def info(self) -> CodecInfo:
        """What is known of the codec and of its models."""
        facts = [TrainingFacts.load(folder) for folder in self.folders]
        note = (
            f"{len(facts)} seed{'s' * (len(facts) > 1)} of {facts[0].steps} steps, {facts[0].audio_s / 3600:.3g} h of "
            f"audio presented ({facts[0].train_hours:.3g} h distinct), {facts[0].parameters / 1e6:.3g} M parameters"
        )
        return codec_info(self.encodings.prepared, self.label, (note,))

    def artifacts(self, out: Path) -> Iterator[Artifact]:
        """Say where the speech of the first seed's model lies, for listening."""
        subject = self._subject(self.folders[0])
        store = audio_store(subject)
        for u in self.test:
            key = speech_key(subject, u)
            kept = store.path(key)
            audio, tokens = relative(kept, out) if kept else "", relative(subject.folder / "tokens", out)
            yield Artifact(self.label, u.id, u.text, relative(u.audio, out), audio, tokens, key)


def _ceiling(
    place: Workplace,
    test: Sequence[Utterance],
    scorers: Sequence[PreparedScorer],
    metrics: Mapping[str, MetricSpec],
    request: EvalRequest,
) -> Iterator[Record]:
    """Score the recordings themselves as if they had been generated."""
    store = ScoreStore(place.store / "slm" / "generated" / CEILING)
    found = scores_of(
        place, CEILING, test, scorers, store, request.settings,
        lambda _: CEILING, lambda missing: (Spoken(u, Audio(*read_audio(u)), CEILING) for u in missing),
    )  # fmt: skip
    for utterance in test:
        for m in map(as_spoken, found[utterance.id]):
            yield make_record(CEILING, utterance, m, metrics[m.metric])
