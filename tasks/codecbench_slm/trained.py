"""A trained model as a folder: configuration, tokenizer, format of the speech, what it was trained on, weights."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from codecbench.errors import UsageError
from codecbench.hashing import file_sha256
from codecbench_slm.backbone import empty_backbone
from codecbench_slm.config import SlmConfig
from codecbench_slm.model import SpeechLM
from codecbench_slm.sequences import Layout
from codecbench_slm.speech import SpeechFormat
from codecbench_slm.text import TextCodec
from codecbench_train.toml import build, read_tables

WEIGHTS, BEST, FACTS, CONFIG = "model.safetensors", "best.safetensors", "slm.json", "config.toml"
BACKBONE = "backbone"


@dataclass(frozen=True)
class TrainingFacts:
    """What a run rests on and what it spent.

    steps, audio_s: of the whole budget; best_step: whose weights these are, -1 for the last. train_hours: hours of
    distinct training audio. dataset: identity of texts, tokens and speakers. eos_id, text_size: of the tokenizer.
    """

    dataset: str
    speakers: tuple[str, ...]
    parameters: int
    train_utterances: int
    train_hours: float
    eos_id: int
    text_size: int
    steps: int = 0
    audio_s: float = 0.0
    best_step: int = -1

    def save(self, folder: Path) -> None:
        """Write ``slm.json``."""
        (folder / FACTS).write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> TrainingFacts:
        """Read ``slm.json``; raises UsageError where the folder holds no run."""
        try:
            facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UsageError(f"{folder} holds no speech language model; give the --out of 'slm train'") from None
        return cls(**(facts | {"speakers": tuple(facts["speakers"])}))


@dataclass(frozen=True, eq=False)
class TrainedSlm:
    """A model to generate with, and everything that it needs; ``digest`` is that of its weights."""

    folder: Path
    config: SlmConfig
    facts: TrainingFacts
    speech: SpeechFormat
    text: TextCodec
    model: SpeechLM
    digest: str

    @property
    def layout(self) -> Layout:
        """How its sequences are laid out."""
        return Layout(self.speech.codebook_sizes, self.text.eos_id)


def is_finished(folder: Path) -> bool:
    """Whether training in ``folder`` came to its end."""
    return (folder / WEIGHTS).is_file()


def write_weights(model: SpeechLM, path: Path) -> None:
    """Write weights whole or not at all; tables that are tied are written twice."""
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in model.state_dict().items()}
    scratch = path.with_name(f".tmp-{path.name}")
    save_file(tensors, scratch)
    scratch.replace(path)


def load_trained(folder: Path, device: str = "cpu") -> TrainedSlm:
    """Load a finished run; raises UsageError where there is none."""
    facts = TrainingFacts.load(folder)
    if not is_finished(folder):
        raise UsageError(f"training in {folder} is not finished; continue it with: codecbench slm train --resume")
    config, speech = load_config(folder), SpeechFormat.load(folder)
    text = TextCodec.load(folder, facts.eos_id, facts.text_size)
    model = SpeechLM(empty_backbone(folder / BACKBONE), speech.codebook_sizes, len(facts.speakers))
    model.load_state_dict(load_file(folder / WEIGHTS), strict=True)
    model.to(torch.device(device)).eval().requires_grad_(False)
    return TrainedSlm(folder, config, facts, speech, text, model, file_sha256(folder / WEIGHTS))


def load_config(folder: Path) -> SlmConfig:
    """Read the resolved configuration of a run."""
    return build(SlmConfig, read_tables(folder / CONFIG))
