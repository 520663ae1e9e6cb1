"""The typed configuration of a training run; every field says where its default comes from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from codecbench.errors import UsageError
from codecbench_train.data.augment import AugmentConfig


@dataclass(frozen=True)
class ModelConfig:
    """What is trained. name: ``lmspt``, ``speechtokenizer-style`` or ``module:function`` of your own.

    preset: the model's own preset. overrides: ``key = value`` changes to that preset, by dotted name.
    """

    name: str = "lmspt"
    preset: str = "mini-12.5hz"
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class TeacherConfig:
    """The frozen ASR encoder. source: see ``whisper_encoder``; the paper uses Whisper small, the release large-v3."""

    source: str = "offline:base"
    dtype: Literal["float32", "bfloat16"] = "float32"


@dataclass(frozen=True)
class DistillationConfig:
    """kind: ``resynthesis`` (LM-SPT), ``feature`` (SpeechTokenizer, Mimi) or ``none``.

    convention and weight are matched: ``release`` 500 over the padded 30 s, ``paper`` 100 over real frames. weight 0
    takes the published weight of the convention; another value is the user's own. distance and feature_weight: for
    ``feature`` only; SpeechTokenizer's public configuration has 120. every: only every so-manieth utterance of a batch
    goes through the teacher, which costs as much as the model where that is small; 1, all of them, is the paper's.
    """

    kind: Literal["resynthesis", "feature", "none"] = "resynthesis"
    convention: Literal["release", "paper"] = "paper"
    weight: float = 0.0
    distance: Literal["cosine", "mse", "d-axis"] = "cosine"
    feature_weight: float = 120.0
    every: int = 1


@dataclass(frozen=True)
class LossConfig:
    """Weights of the released LM-SPT configuration; the adversarial loss starts at step 0 there.

    magnitude: of the log-magnitudes that an inverse-STFT decoder predicts (``losses/magnitude.py``). Ours, off by
    default and not in the paper: a waveform's mel loss says little to magnitudes while phases do not fit each other
    yet. semantic_mel, semantic_magnitude, semantic_fade_steps: the same losses on the semantic resynthesis, with
    weights that fall from these to 0 over so many steps. Ours too: they spare a short run the long time in which the
    resynthesis is noise, of which the teacher has little to say, and the semantic stream learns nothing.
    """

    mel: float = 15.0
    adversarial: float = 1.0
    feature_matching: float = 2.0
    commitment: float = 0.25
    codebook: float = 1.0
    adversarial_start_step: int = 0
    magnitude: float = 0.0
    pitch: float = 0.0
    semantic_mel: float = 0.0
    semantic_magnitude: float = 0.0
    semantic_fade_steps: int = 0
    mel_windows: tuple[int, ...] = (256, 512, 1024, 2048)
    mel_bins: tuple[int, ...] = (40, 80, 160, 320)


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Sizes of the released LM-SPT training code (46,698,544 parameters); narrow them on a CPU.

    magnitude_channels: width of one more that judges the magnitudes which an inverse-STFT decoder predicts. Ours; 0 for
    none.
    """

    periods: tuple[int, ...] = (2, 3, 5, 7, 11)
    period_channels: tuple[int, ...] = (32, 128, 512, 1024, 1024)
    stft_windows: tuple[int, ...] = (2048, 1024, 512)
    stft_channels: int = 64
    magnitude_channels: int = 0


#: How much of a run the falling rate of ``OptimizerConfig.decay = "tail"`` takes.
TAIL_SHARE = 0.3


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW with betas 0.8 / 0.9 and weight decay 0.01 (release); no decay on codebooks, Snake alphas, norms, biases.

    Rate: linear warm-up to ``peak`` over ``warmup_steps``, then ``cosine`` to ``final`` over the run, ``constant``, or
    constant with a cosine ``tail`` over the last ``TAIL_SHARE`` of the run (warm-up, stable, decay: arXiv 2404.06395):
    a run whose length is not known beforehand is ended by resuming it with another number of steps.
    clip_norm: of the whole network, or of every child module where ``clip_per_module``; 0 for none.
    """

    peak: float = 2e-4
    final: float = 5e-5
    warmup_steps: int = 100
    decay: Literal["cosine", "constant", "tail"] = "cosine"
    betas: tuple[float, ...] = (0.8, 0.9)
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    clip_per_module: bool = False


@dataclass(frozen=True)
class SourceConfig:
    """One source of training data.

    weight: its share of the samples. root: folder that a manifest's paths are relative to. split: rows of another split
    are left out. dev_speakers: this many speakers are taken out of it for the ``dev`` set. dev: the whole source is for
    the ``dev`` set; its speakers must not be in a source that is trained on.
    """

    path: str = ""
    weight: float = 1.0
    root: str = ""
    split: str = "train"
    dev_speakers: int = 0
    dev: bool = False


@dataclass(frozen=True)
class DataConfig:
    """batch_size is global (all ranks, all micro-batches); the paper has 128 crops of 6 s.

    min_duration_s: shorter utterances are left out. max_corrupt_share: training stops above this share of unreadable
    utterances. dev_utterances and dev_segment_s: size of the ``dev`` set and of its fixed crops.
    """

    sources: tuple[SourceConfig, ...] = ()
    segment_s: float = 6.0
    batch_size: int = 128
    workers: int = 4
    min_duration_s: float = 0.3
    max_corrupt_share: float = 0.01
    dev_utterances: int = 64
    dev_segment_s: float = 6.0
    augment: AugmentConfig = field(default_factory=AugmentConfig)


@dataclass(frozen=True)
class LogConfig:
    """Intervals in steps. ``audio_examples`` dev utterances are written to TensorBoard at each validation."""

    every_steps: int = 50
    validate_every_steps: int = 1000
    save_every_steps: int = 1000
    keep_checkpoints: int = 2
    audio_examples: int = 3
    tensorboard: bool = True


@dataclass(frozen=True)
class ScoringConfig:
    """Scoring by codecbench itself every ``every_steps`` (0: never), into ``store`` (OUT/scores if empty).

    corpus, tasks, recognizer, limit: as for ``codecbench run``. Choose a corpus that is not the held-out one.
    """

    every_steps: int = 0
    corpus: str = "builtin"
    tasks: tuple[str, ...] = ("reconstruction", "intelligibility")
    recognizer: str = ""
    limit: int = 0
    store: str = ""


#: Device types on which ``compile = "auto"`` compiles. A CPU is not among them: minutes of compilation, and a different
#: result in the last bits. CUDA is not among them before it is measured: ``benchmarks/lmspt_training.py --set
#: compile=on`` on a GPU, against ``compile=off``.
COMPILED_DEVICES: frozenset[str] = frozenset()


@dataclass(frozen=True)
class TrainConfig:
    """A whole run. steps: optimizer steps. micro_batches: gradient accumulation, per rank.

    ema_decay: moving average of the weights, 0 for none; the average is what is exported and validated. precision:
    ``bf16`` is autocast of generator and discriminators, losses stay in float32; ``fp64`` serves exactness tests.
    compile: torch.compile of generator, discriminators and teacher; ``auto`` is on for ``COMPILED_DEVICES``.
    """

    steps: int = 100_000
    seed: int = 43
    precision: Literal["fp32", "bf16", "fp64"] = "fp32"
    compile: Literal["auto", "off", "on"] = "auto"
    micro_batches: int = 1
    ema_decay: float = 0.0
    model: ModelConfig = field(default_factory=ModelConfig)
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    distillation: DistillationConfig = field(default_factory=DistillationConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    discriminators: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    generator: OptimizerConfig = field(default_factory=OptimizerConfig)
    discriminator: OptimizerConfig = field(default_factory=OptimizerConfig)
    data: DataConfig = field(default_factory=DataConfig)
    log: LogConfig = field(default_factory=LogConfig)
    scoring: ScoringConfig = field(default_factory=ScoringConfig)

    def check(self, ranks: int) -> None:
        """Raise ``UsageError`` for values that cannot work together."""
        parts = ranks * self.micro_batches
        if self.data.batch_size % parts:
            raise UsageError(
                f"data.batch_size = {self.data.batch_size} must be a multiple of ranks x micro_batches = "
                f"{ranks} x {self.micro_batches}"
            )
        if self.steps < 1 or self.data.segment_s <= 0:
            raise UsageError(f"steps = {self.steps} and data.segment_s = {self.data.segment_s} must be positive")
        if self.distillation.every < 1:
            raise UsageError(f"distillation.every = {self.distillation.every} must be 1 or more")
        if self.distillation.convention == "release" and self.data.segment_s > 30:
            raise UsageError("the release convention pads to 30 s: data.segment_s must not be longer")
        if not 0 <= self.ema_decay < 1:
            raise UsageError(f"ema_decay = {self.ema_decay} must lie between 0 and 1")
        if not self.data.sources:
            raise UsageError("no training data: give --data MANIFEST or [[data.sources]]")
