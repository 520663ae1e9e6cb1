"""The typed configuration of a speech language model; every field says where its default comes from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from codecbench.errors import UsageError
from codecbench_slm.text import TextKind
from codecbench_train.config import OptimizerConfig


@dataclass(frozen=True)
class SourceConfig:
    """One source of speech with text: anything that ``--corpus`` takes.

    dev, test: so many utterances are held out, chosen by a hash of their texts: for the validation loss, and for
    ``codecbench slm eval``.
    """

    path: str = ""
    dev: int = 0
    test: int = 0


@dataclass(frozen=True)
class DataConfig:
    """What is trained on; the same utterances for every codec. exclude: ids to leave out.

    Longer and shorter utterances are left out by seconds of audio, never by tokens: that would depend on the codec.
    """

    sources: tuple[SourceConfig, ...] = ()
    min_duration_s: float = 0.3
    max_duration_s: float = 20.0
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True)
class TextConfig:
    """kind: ``backbone`` takes the tokenizer of a pretrained backbone. vocabulary: for ``bpe``."""

    kind: TextKind = "characters"
    vocabulary: int = 1000
    normalize: bool = True


@dataclass(frozen=True)
class ModelConfig:
    """The decoder-only backbone: ``scratch`` (a Qwen2 of these sizes), or a hub name or folder (the sizes are its own).

    The paper takes Qwen2.5-0.5B-Instruct and LLaMA-3.2-3B-Instruct. speakers: tell text-to-speech who is to speak, by
    one learnt token for each speaker of the training data; speakers that it does not know share one.
    """

    backbone: str = "scratch"
    layers: int = 4
    width: int = 256
    heads: int = 4
    feed_forward: int = 1024
    max_positions: int = 4096
    speakers: bool = False


@dataclass(frozen=True)
class GenerationConfig:
    """How speech and text are generated.

    temperature and top_k: of speech; 0 takes the likeliest code, and top_k 0 all of them. Text is always greedy.
    max_speech_s, max_text_tokens: where generation is cut; what is cut is counted as unfinished.
    cache: ``static`` fits CUDA, where ``graph`` also replays each step as one CUDA graph.
    """

    temperature: float = 0.8
    top_k: int = 50
    max_speech_s: float = 20.0
    max_text_tokens: int = 400
    batch_size: int = 16
    cache: Literal["dynamic", "static", "graph", "none"] = "dynamic"


@dataclass(frozen=True)
class LogConfig:
    """Intervals in steps."""

    every_steps: int = 50
    validate_every_steps: int = 500
    save_every_steps: int = 500
    keep_checkpoints: int = 2
    tensorboard: bool = True


def _optimizer() -> OptimizerConfig:
    return OptimizerConfig(peak=3e-4, final=3e-5, warmup_steps=200, betas=(0.9, 0.95), weight_decay=0.1)


@dataclass(frozen=True)
class SlmConfig:
    """A whole run. steps: optimizer steps of ``batch_size`` utterances each, over all ranks and micro-batches.

    The paper trains for 10 k steps; its batch, rates and prompts were not found. tasks: ``both`` mixes the two evenly
    in one model, utterance by utterance; ``stt`` and ``tts`` train one model for each.
    """

    codec: str = ""
    codec_options: tuple[str, ...] = ()
    tasks: Literal["both", "stt", "tts"] = "both"
    steps: int = 10_000
    batch_size: int = 16
    micro_batches: int = 1
    seed: int = 0
    precision: Literal["fp32", "bf16"] = "fp32"
    data: DataConfig = field(default_factory=DataConfig)
    text: TextConfig = field(default_factory=TextConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    optimizer: OptimizerConfig = field(default_factory=_optimizer)
    generation: GenerationConfig = field(default_factory=GenerationConfig)
    log: LogConfig = field(default_factory=LogConfig)

    def check(self, ranks: int = 1) -> None:
        """Raise ``UsageError`` for values that cannot work together."""
        if not self.codec:
            raise UsageError("no codec: give --codec NAME")
        if not self.data.sources:
            raise UsageError("no data: give --data MANIFEST or [[data.sources]]")
        if self.steps < 1 or self.batch_size % (ranks * self.micro_batches):
            raise UsageError(
                f"batch_size = {self.batch_size} must be a multiple of ranks x micro_batches = {ranks} x "
                f"{self.micro_batches}, and steps = {self.steps} at least 1"
            )
        if (self.text.kind == "backbone") != (self.model.backbone != "scratch"):
            raise UsageError(
                f"text.kind = {self.text.kind!r} does not go with model.backbone = {self.model.backbone!r}: a "
                "pretrained backbone reads its own tokenizer ('backbone'), one from scratch 'characters' or 'bpe'"
            )
