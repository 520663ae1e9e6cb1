"""Examples of one codec, and which of them come in which training step: a pure function of seed and step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from codecbench.contracts.audio import Utterance
from codecbench.hashing import digest
from codecbench_slm.config import SlmConfig
from codecbench_slm.corpus import Split, read_sources, seconds_of
from codecbench_slm.encoding import Encodings, Workplace, encode, require_tokens
from codecbench_slm.sequences import NUM_CONTROLS, Batch, Example, Layout, Task, collate
from codecbench_slm.speech import SpeechFormat
from codecbench_slm.text import TextCodec, learn, of_backbone, spoken
from codecbench_train.data.keyed import draws


@dataclass(frozen=True, eq=False)
class Dataset:
    """What a model is trained on, in a fixed order; ``identity`` changes with anything in it."""

    train: tuple[Example, ...]
    dev: tuple[Example, ...]
    speech: SpeechFormat
    text: TextCodec
    speakers: tuple[str, ...]
    identity: str

    @property
    def hours(self) -> float:
        """Hours of training audio."""
        return sum(example.duration_s for example in self.train) / 3600

    @property
    def layout(self) -> Layout:
        """How its sequences are laid out."""
        return Layout(self.speech.codebook_sizes, self.text.eos_id)


def written(config: SlmConfig, utterance: Utterance) -> str:
    """The text of an utterance as the model reads and writes it."""
    text = utterance.text or ""
    return spoken(text) if config.text.normalize else text


def open_dataset(place: Workplace, config: SlmConfig) -> Dataset:
    """Encode what the store lacks and make the examples to train on.

    Raises UsageError and Unavailable for wrong requests, CodecbenchError where an utterance has no tokens.
    """
    split = read_sources(place.host.registry, config.data)
    used = split.train + split.dev
    # All together, though the test set is not used here: one run of the codec then serves training and evaluation.
    encodings = encode(place, config, split.everything)
    require_tokens(encodings, used)
    speech = SpeechFormat.of(encodings.prepared.label, encodings.prepared.spec, encodings.get(split.train[0]))
    text = make_text(config, split)
    speakers = tuple(sorted({u.speaker or "" for u in split.train} - {""})) if config.model.speakers else ()
    maker = ExampleMaker(config, speech, text, speakers)
    train, dev = (tuple(maker.make(u, encodings) for u in part) for part in (split.train, split.dev))
    return Dataset(
        train=train,
        dev=dev,
        speech=speech,
        text=text,
        speakers=speakers,
        identity=digest([[example.digest for example in train + dev], speech.codec, speakers]),
    )


def make_text(config: SlmConfig, split: Split) -> TextCodec:
    """The tokenizer: learnt from the training texts, or the backbone's own."""
    if config.text.kind == "backbone":
        from codecbench_slm.backbone import text_size

        return of_backbone(config.model.backbone, text_size(config.model.backbone))
    return learn(config.text.kind, (written(config, u) for u in split.train), config.text.vocabulary)


@dataclass(frozen=True)
class ExampleMaker:
    """Turns utterances with tokens into examples."""

    config: SlmConfig
    speech: SpeechFormat
    text: TextCodec
    speakers: tuple[str, ...]

    def make(self, utterance: Utterance, encodings: Encodings) -> Example:
        """Make the example of an utterance that has tokens."""
        encoded = encodings.get(utterance)
        assert encoded is not None
        codes = self.speech.codes(encoded)
        return Example(
            utterance.id,
            np.asarray(self.text.encode(written(self.config, utterance)), np.int64),
            codes,
            seconds_of(utterance),
            self._speaker(utterance.speaker),
        )

    def _speaker(self, name: str | None) -> int | None:
        if not self.config.model.speakers:
            return None
        known = name in self.speakers
        return NUM_CONTROLS + (1 + self.speakers.index(name or "") if known else 0)


@dataclass(frozen=True, eq=False)
class Steps:
    """The batches of a run: each epoch every utterance once, in an order that depends on the seed alone.

    With both tasks an utterance takes them in turns, and which comes first is drawn; so two epochs hold each utterance
    once for each task.
    """

    dataset: Dataset
    config: SlmConfig
    rank: int = 0
    ranks: int = 1

    def parts(self, step: int) -> list[Batch]:
        """This rank's micro-batches of a step."""
        size = self.config.batch_size // self.ranks
        start = step * self.config.batch_size + self.rank * size
        drawn = [self.draw(index) for index in range(start, start + size)]
        part = size // self.config.micro_batches
        return [self._batch(drawn[i : i + part]) for i in range(0, size, part)]

    def draw(self, index: int) -> tuple[Example, Task]:
        """Example and task number ``index`` of the run."""
        epoch, place = divmod(index, len(self.dataset.train))
        number = int(_order(self.config.seed, epoch, len(self.dataset.train))[place])
        return self.dataset.train[number], self._task(number, epoch)

    def _task(self, number: int, epoch: int) -> Task:
        if self.config.tasks != "both":
            return self.config.tasks
        first = int(draws(self.config.seed, "task", number).integers(2))
        return "stt" if (first + epoch) % 2 else "tts"

    def _batch(self, drawn: Sequence[tuple[Example, Task]]) -> Batch:
        layout = self.dataset.layout
        audio_s = sum(example.duration_s for example, _ in drawn)
        return collate([layout.sequence(example, task) for example, task in drawn], audio_s)


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, count: int) -> np.ndarray:
    return draws(seed, "epoch", epoch).permutation(count)


def dev_batches(dataset: Dataset, config: SlmConfig, size: int) -> list[Batch]:
    """The held-out examples in each task of the model."""
    tasks: tuple[Task, ...] = ("stt", "tts") if config.tasks == "both" else (config.tasks,)
    sequences = [dataset.layout.sequence(example, task) for task in tasks for example in dataset.dev]
    return [collate(sequences[i : i + size]) for i in range(0, len(sequences), size)]
