"""What a preset says: every size of an LM-SPT model as frozen dataclasses, checked when they are made."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil, inf, prod
from typing import Literal


@dataclass(frozen=True)
class TransformerSpec:
    """A stack of pre-norm Transformer layers with rotary positions and windowed attention.

    ``window_frames`` is how far each frame looks to either side. The window is our choice (the paper states none): it
    makes 6 s training crops and hour-long inputs alike, and gives chunked inference an exact receptive field.
    """

    layers: int
    width: int
    heads: int
    feedforward: int
    window_frames: int
    layer_scale: float = 0.0

    @property
    def context_frames(self) -> int:
        """How many frames to either side the output depends on."""
        return self.layers * self.window_frames

    def __post_init__(self) -> None:
        if self.width % (2 * self.heads):
            raise ValueError(f"transformer width {self.width} must be a multiple of 2 * heads = {2 * self.heads}")


@dataclass(frozen=True)
class ConvEncoderSpec:
    """A DAC-style strided convolution stack on the waveform: channels double at every stride."""

    kind: Literal["conv"]
    channels: int
    strides: tuple[int, ...]
    kernel: int = 7
    dilations: tuple[int, ...] = (1, 3, 9)
    compress: int = 1
    transformer: TransformerSpec | None = None

    @property
    def hop_samples(self) -> int:
        """Samples per frame."""
        return prod(self.strides)

    def context_samples(self, causal: bool) -> int:
        """How far beyond its own hop the input of a frame reaches, to either side at most."""
        span, step = 6, 1
        for stride in self.strides:
            span += sum((self.kernel - 1) * dilation for dilation in self.dilations) * step + 2 * stride * step
            step *= stride
        span += 2 * step
        window = self.transformer.context_frames * self.hop_samples if self.transformer else 0
        return (span if causal else span // 2 + step) + window


@dataclass(frozen=True)
class SpectralEncoderSpec:
    """ConvNeXt stages on log-magnitude STFT frames, strided down to the token rate.

    ``widths`` and ``depths`` have one entry per stage, ``strides`` one per step between stages. ``linear_bands``: mel
    bands of a linear way round the network (``linear_path.py``); ``pitch_candidates``: how many pitches the network is
    told the salience of (``harmonics.py``); 0 for none.
    """

    kind: Literal["spectral"]
    fft_samples: int
    stft_hop_samples: int
    widths: tuple[int, ...]
    depths: tuple[int, ...]
    strides: tuple[int, ...]
    transformer: TransformerSpec | None = None
    linear_bands: int = 0
    pitch_candidates: int = 0

    def __post_init__(self) -> None:
        _check_candidates("spectral encoder", self.pitch_candidates)
        if not len(self.widths) == len(self.depths) == len(self.strides) + 1:
            raise ValueError("spectral encoder: widths and depths need one entry more than strides")
        if self.fft_samples % self.stft_hop_samples or (self.fft_samples - self.stft_hop_samples) % 2:
            raise ValueError("spectral encoder: fft_samples must be a multiple of an even stft_hop_samples")

    @property
    def hop_samples(self) -> int:
        """Samples per frame."""
        return self.stft_hop_samples * prod(self.strides)

    def context_samples(self, causal: bool) -> int:
        """How far beyond its own hop the input of a frame reaches, to either side at most."""
        reach, step = self.fft_samples + self.stft_hop_samples, self.stft_hop_samples
        for depth, stride in zip(self.depths, (*self.strides, 1), strict=True):
            reach += (3 * depth + stride) * step
            step *= stride
        window = self.transformer.context_frames if self.transformer else 0
        return reach + (window + 1) * self.hop_samples


@dataclass(frozen=True)
class ConvDecoderSpec:
    """A DAC-style transposed-convolution decoder: channels halve at every stride, tanh at the end."""

    kind: Literal["conv"]
    channels: int
    strides: tuple[int, ...]
    sample_rate_hz: int
    kernel: int = 7
    dilations: tuple[int, ...] = (1, 3, 9)

    @property
    def hop_samples(self) -> int:
        """Samples per frame."""
        return prod(self.strides)

    def context_frames(self, causal: bool) -> int:
        """How many frames to either side, at most, an output sample depends on."""
        span, step = 6.0, 1.0
        for stride in self.strides:
            step /= stride
            span += (2 * stride + sum((self.kernel - 1) * dilation for dilation in self.dilations)) * step
        span += 6 * step
        return ceil(span if causal else span / 2) + 1


@dataclass(frozen=True)
class VocosDecoderSpec:
    """A Vocos decoder: ConvNeXt blocks at a constant rate, then an inverse STFT (Siuzdak, arXiv 2306.00814).

    ``upsample`` frames of the inverse STFT stand for one token frame; ``transformer`` runs before it, at token rate.
    ``phase_iterations``: 0 predicts phases beside magnitudes (Vocos); n predicts magnitudes only and finds phases by n
    iterations of Griffin and Lim. ``linear_bands``: mel bands of a linear way round the network; ``pitch_candidates``:
    pitches to choose harmonics from; 0 for none. ``contrast``: by what share harmonics are exaggerated outside training
    (``harmonics.py``); it needs ``pitch_candidates``.
    """

    kind: Literal["vocos"]
    width: int
    intermediate: int
    layers: int
    upsample: int
    istft_hop_samples: int
    fft_samples: int
    sample_rate_hz: int
    kernel: int = 7
    transformer: TransformerSpec | None = None
    phase_iterations: int = 0
    linear_bands: int = 0
    pitch_candidates: int = 0
    contrast: float = 0.0

    def __post_init__(self) -> None:
        _check_candidates("vocos decoder", self.pitch_candidates)
        if not 0 <= self.contrast < inf:
            raise ValueError(f"vocos decoder: contrast must be a finite number of 0 or more, not {self.contrast}")
        if self.contrast and not self.pitch_candidates:
            raise ValueError("vocos decoder: contrast needs pitch_candidates")
        if self.phase_iterations < 0:
            raise ValueError(f"vocos decoder: phase_iterations must be 0 or more, not {self.phase_iterations}")
        if self.fft_samples % self.istft_hop_samples or (self.fft_samples - self.istft_hop_samples) % 2:
            raise ValueError("vocos decoder: fft_samples must be a multiple of an even istft_hop_samples")
        if self.fft_samples < 2 * self.istft_hop_samples:
            raise ValueError("vocos decoder: windows must overlap (fft_samples >= 2 * istft_hop_samples)")

    @property
    def hop_samples(self) -> int:
        """Samples per frame."""
        return self.istft_hop_samples * self.upsample

    def context_frames(self, causal: bool) -> int:
        """How many frames to either side, at most, an output sample depends on."""
        window = self.transformer.context_frames if self.transformer else 0
        overlap = self.fft_samples // self.istft_hop_samples
        fine = 3 * self.layers + overlap + self.phase_iterations * (overlap - 1)
        return window + self.kernel // 2 + fine // self.upsample + 2


def _check_candidates(where: str, candidates: int) -> None:
    if candidates != 0 and candidates < 2:
        raise ValueError(f"{where}: pitch_candidates must be 0 or at least 2, not {candidates}")


EncoderSpec = ConvEncoderSpec | SpectralEncoderSpec
DecoderSpec = ConvDecoderSpec | VocosDecoderSpec


@dataclass(frozen=True)
class QuantizerSpec:
    """One semantic codebook and a residual stack of acoustic ones.

    ``projection``: each book has its own 1x1 projections (DAC, ``per-book``) or each stream shares one pair around its
    stack (Mimi, ``per-stream``). ``search``: nearest by cosine or by Euclidean distance. ``update``: the codebooks
    learn by gradient (DAC) or by exponential moving averages (van den Oord et al., arXiv 1711.00937, appendix A).
    ``semantic_subtraction``: the acoustic stack codes what the semantic book left (release) or runs beside it (paper).
    ``start_step``: before this training step latents pass through the projections unquantized, so that k-means meets
    latents that already carry the signal (our choice; 0 quantizes from the first step, as the sources do).
    It holds for moving averages with per-stream projections; other quantizers, and loaded codebooks, start at once.
    """

    semantic_size: int
    acoustic_size: int
    acoustic_books: int
    code_width: int
    projection: Literal["per-book", "per-stream"]
    search: Literal["cosine", "euclidean"]
    update: Literal["gradient", "ema"]
    semantic_subtraction: bool
    ema_decay: float = 0.99
    dead_code_share: float = 0.1
    kmeans_iterations: int = 10
    start_step: int = 0

    def __post_init__(self) -> None:
        if self.acoustic_books < 1:
            raise ValueError("quantizer: acoustic_books must be at least 1")
        if not 0.0 < self.ema_decay < 1.0:
            raise ValueError(f"quantizer: ema_decay must lie between 0 and 1, not {self.ema_decay}")


@dataclass(frozen=True)
class TrainingSpec:
    """Choices that change the training forward pass and nothing at inference.

    ``codebook_dropout``: the share of utterances that keep a random number of acoustic books; of those,
    ``semantic_only_share`` keep none. ``stop_semantic_gradient``: the main decoder's losses do not reach the semantic
    stream. ``aux_gradient``: whether the distillation loss trains the decoder that makes the semantic resynthesis
    (paper, Table 4: "shared, no gradient to it"). ``distillation_head_dim``: width of the projection head for
    feature-level distillation; 0 for none. ``decoder_only``: encoders, codebooks and the auxiliary decoder stay as they
    are, so that a decoder is trained on for tokens that do not change.
    """

    codebook_dropout: float = 0.5
    semantic_only_share: float = 0.0
    stop_semantic_gradient: bool = False
    aux_gradient: bool = True
    distillation_head_dim: int = 0
    decoder_only: bool = False


@dataclass(frozen=True)
class CardSpec:
    """What a user must know of a preset's weights: licence, data, teacher, and why there may be none.

    ``teacher`` is the model whose features the weights were distilled from, as recognisers name their family.
    ``aliases`` are further variant names of the codec.
    """

    licence_weights: str = ""
    training_data: tuple[str, ...] = ()
    teacher: str = ""
    hub: str = ""
    no_weights: str = ""
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelSpec:
    """A complete model. ``encoders`` = 1 feeds both streams from one encoder; ``aux_decoder`` = None shares the main
    decoder for the semantic resynthesis (both are ablations of the paper, Tables 4 and 5)."""

    name: str
    description: str
    sample_rate_hz: int
    latent_width: int
    encoder: EncoderSpec
    quantizer: QuantizerSpec
    decoder: DecoderSpec
    aux_decoder: DecoderSpec | None
    encoders: int = 2
    causal: bool = False
    training: TrainingSpec = field(default_factory=TrainingSpec)
    card: CardSpec = field(default_factory=CardSpec)
    choices: str = ""

    def __post_init__(self) -> None:
        if self.encoders not in (1, 2):
            raise ValueError(f"preset {self.name}: encoders must be 1 or 2, not {self.encoders}")
        if self.decoder.sample_rate_hz != self.sample_rate_hz:
            raise ValueError(f"preset {self.name}: the main decoder must work at {self.sample_rate_hz} Hz")
        for decoder in [self.decoder, *([self.aux_decoder] if self.aux_decoder else [])]:
            if decoder.hop_samples * self.sample_rate_hz != self.hop_samples * decoder.sample_rate_hz:
                raise ValueError(
                    f"preset {self.name}: a decoder makes {decoder.hop_samples} samples a frame at "
                    f"{decoder.sample_rate_hz} Hz, the encoder takes {self.hop_samples} at {self.sample_rate_hz} Hz"
                )
        if self.causal and not (self.encoder.kind == "conv" and self.decoder.kind == "conv"):
            raise ValueError(f"preset {self.name}: only convolution encoders and decoders can be causal")
        if self.causal and isinstance(self.encoder, ConvEncoderSpec) and self.encoder.transformer:
            raise ValueError(f"preset {self.name}: a causal encoder cannot have a Transformer")

    @property
    def hop_samples(self) -> int:
        """Samples per token frame at the model's rate."""
        return self.encoder.hop_samples

    @property
    def frame_rate_hz(self) -> float:
        """Token frames per second."""
        return self.sample_rate_hz / self.hop_samples

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Entries of each codebook, the semantic one first."""
        q = self.quantizer
        return (q.semantic_size, *([q.acoustic_size] * q.acoustic_books))
