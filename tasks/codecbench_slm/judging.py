"""One trained model before the test utterances, and everything that it says or writes of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from codecbench.contracts.audio import Utterance
from codecbench.contracts.metric import Measurement
from codecbench.runner.scoring import PreparedScorer
from codecbench_slm.config import GenerationConfig
from codecbench_slm.dataset import ExampleMaker
from codecbench_slm.encoding import Encodings, Workplace
from codecbench_slm.generate import Generator
from codecbench_slm.sequences import Example
from codecbench_slm.trained import TrainedSlm

# Raised when generation for the same weights and settings changes.
GENERATION_VERSION = "1"
# Utterances whose generation is stored together: what a kill can cost.
STORED_TOGETHER = 64


@dataclass(frozen=True, eq=False)
class Subject:
    """One model with the test utterances and their tokens; what it generates is kept by content in ``folder``."""

    place: Workplace
    trained: TrainedSlm
    generation: GenerationConfig
    test: tuple[Utterance, ...]
    encodings: Encodings

    @property
    def label(self) -> str:
        """The codec's name, and the seed of this model."""
        return f"{self.trained.speech.codec} seed {self.trained.config.seed}"

    @property
    def folder(self) -> Path:
        """What is kept of this model."""
        return self.place.store / "slm" / "generated" / self.trained.digest[:32]

    @property
    def generator(self) -> Generator:
        """What generates."""
        g = self.generation
        return Generator(self.trained.model, self.trained.text.eos_id, g.batch_size, g.cache)

    def example(self, utterance: Utterance) -> Example:
        """An utterance as the model takes it."""
        t = self.trained
        return ExampleMaker(t.config, t.speech, t.text, t.facts.speakers).make(utterance, self.encodings)


def measure(
    subject: Subject, scorers: Sequence[PreparedScorer], settings: Sequence[str]
) -> dict[str, list[Measurement]]:
    """Measure the model in the tasks that it was trained for; return the measurements of each utterance by id."""
    from codecbench_slm.speaking import speak
    from codecbench_slm.transcribing import transcribe

    found: dict[str, list[Measurement]] = {u.id: [] for u in subject.test}
    parts = []
    if subject.trained.config.tasks in ("both", "stt"):
        parts.append(transcribe(subject))
    if subject.trained.config.tasks in ("both", "tts"):
        parts.append(speak(subject, scorers, settings))
    for part in parts:
        for name, rows in part.items():
            found[name] += rows
    return found


def stored_together(utterances: Sequence[Utterance]) -> Iterator[Sequence[Utterance]]:
    """Cut into parts that are generated and stored one after another."""
    return (utterances[i : i + STORED_TOGETHER] for i in range(0, len(utterances), STORED_TOGETHER))
