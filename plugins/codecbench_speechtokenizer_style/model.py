"""A SpeechTokenizer-style codec: one encoder, one residual quantizer whose first book is distilled from a teacher.

Source: Zhang et al., SpeechTokenizer, arXiv 2308.16692: SEANet encoder and decoder (Tagliasacchi et al., arXiv
2009.02095) with ELU and an LSTM at the token rate, 8 residual codebooks learnt by moving averages, a linear projection
of the first one matched to teacher features. Written for codecbench's trainer; the official class is in the plugin
``speechtokenizer``.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from codecbench_lmspt.codebook import Codebook, StepContext, take_weights
from codecbench_lmspt.spec import QuantizerSpec
from codecbench_lmspt.stated import check_stated
from codecbench_speechtokenizer_style.sizes import SIZES, Size

SIZE_KEY = "speechtokenizer_style_size"


def _conv(cin: int, cout: int, kernel: int, stride: int = 1) -> nn.Module:
    return weight_norm(nn.Conv1d(cin, cout, kernel, stride, padding=(kernel - stride + 1) // 2))


class ResidualBlock(nn.Module):
    """ELU, convolution of 3 to half the width, ELU, convolution of 1, plus the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.ELU(), _conv(width, width // 2, 3), nn.ELU(), _conv(width // 2, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        """``x[B, C, T]`` to the same shape."""
        y: Tensor = x + self.block(x)
        return y


class Recurrence(nn.Module):
    """An LSTM over frames with a skip connection; bidirectional in the encoder."""

    def __init__(self, width: int, layers: int, bidirectional: bool) -> None:
        super().__init__()
        hidden = width // 2 if bidirectional else width
        self.lstm = nn.LSTM(width, hidden, layers, batch_first=True, bidirectional=bidirectional)

    def forward(self, x: Tensor) -> Tensor:
        """``x[B, C, F]`` to the same shape."""
        y: Tensor = self.lstm(x.transpose(1, 2))[0].transpose(1, 2)
        return x + y


def _encoder(size: Size) -> nn.Sequential:
    width, layers = size.filters, [_conv(1, size.filters, 7)]
    for stride in reversed(size.strides):
        layers += [ResidualBlock(width), nn.ELU(), _conv(width, 2 * width, 2 * stride, stride)]
        width *= 2
    return nn.Sequential(*layers, Recurrence(width, size.lstm_layers, True), nn.ELU(), _conv(width, size.latent, 7))


def _decoder(size: Size) -> nn.Sequential:
    width = size.filters * 2 ** len(size.strides)
    layers: list[nn.Module] = [_conv(size.latent, width, 7), Recurrence(width, size.lstm_layers, False)]
    for stride in size.strides:
        up = nn.ConvTranspose1d(width, width // 2, 2 * stride, stride, (stride + 1) // 2, output_padding=stride % 2)
        layers += [nn.ELU(), weight_norm(up), ResidualBlock(width // 2)]
        width //= 2
    return nn.Sequential(*layers, nn.ELU(), _conv(width, 1, 7))


@dataclass(frozen=True)
class Losses:
    """Quantizer losses ``[B]`` of the distilled book and of the sum of the others."""

    first: Tensor
    rest: Tensor

    def items(self) -> Iterator[tuple[str, Tensor]]:
        """Names and losses."""
        yield "first", self.first
        yield "rest", self.rest


@dataclass(frozen=True)
class Usage:
    """Histograms ``[N]`` of each codebook in this forward."""

    counts: tuple[Tensor, ...]


@dataclass(frozen=True)
class Output:
    """What the trainer's losses look at; see ``codecbench_train.trainable.TrainingOutput``."""

    reconstruction: Tensor
    semantic_features: Tensor
    commitment: Losses
    codebook: Losses
    codes: Tensor
    num_frames: Tensor
    kept_codebooks: Tensor
    usage: Usage
    semantic_resynthesis: None = None
    semantic_resynthesis_rate_hz: int = 16_000
    spectrum: None = None
    semantic_spectrum: None = None


class SpeechTokenizerStyle(nn.Module):
    """Encoder, residual codebooks (the first one distilled), decoder."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size
        self.encoder, self.decoder = _encoder(size), _decoder(size)
        spec = QuantizerSpec(
            semantic_size=size.codebook_size, acoustic_size=size.codebook_size, acoustic_books=size.codebooks - 1,
            code_width=size.latent, projection="per-book", search="euclidean", update="ema",
            semantic_subtraction=False,
        )  # fmt: skip
        self.codebooks = nn.ModuleList(Codebook(spec, size.codebook_size, f"book{k}") for k in range(size.codebooks))
        self.distillation_head = nn.Linear(size.latent, size.distillation_head_dim)

    @property
    def sample_rate_hz(self) -> int:
        """Rate of the audio that goes in and comes out."""
        return self.size.sample_rate_hz

    @property
    def hop_samples(self) -> int:
        """Samples per token frame."""
        return self.size.hop_samples

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Entries of each codebook."""
        return (self.size.codebook_size,) * self.size.codebooks

    def _latent(self, audio: Tensor) -> Tensor:
        padded = F.pad(audio, (0, -audio.shape[-1] % self.hop_samples))
        latent: Tensor = self.encoder(padded).transpose(1, 2)
        return latent[:, : padded.shape[-1] // self.hop_samples]

    def _synthesise(self, latent: Tensor, num_samples: int) -> Tensor:
        audio: Tensor = self.decoder(latent.transpose(1, 2))
        return F.pad(audio, (0, max(0, num_samples - audio.shape[-1])))[..., :num_samples]

    @torch.inference_mode()
    def encode(self, audio: Tensor, num_samples: Tensor | None = None) -> Tensor:
        """``audio[B, 1, T]`` to codes ``[B, K, ceil(T / hop)]``; padding is seen, so give rows of one length."""
        residual, codes = self._latent(audio), []
        for book in self.codebooks:
            assert isinstance(book, Codebook)
            codes.append(book.nearest(residual))
            residual = residual - book(codes[-1]).to(residual.dtype)
        return torch.stack(codes, dim=1)

    @torch.inference_mode()
    def decode(self, codes: Tensor, num_samples: Tensor | None = None) -> Tensor:
        """Codes ``[B, n, F]`` of the first n books to audio ``[B, 1, T]``, T the longest of ``num_samples[B]``."""
        latent = torch.stack(
            [book(codes[:, k]) for k, book in zip(range(codes.shape[1]), self.codebooks, strict=False)]
        )
        length = codes.shape[-1] * self.hop_samples if num_samples is None else int(num_samples.max())
        return self._synthesise(latent.sum(dim=0), length)

    def training_forward(
        self, audio: Tensor, *, num_samples: Tensor, step: int, sample_index: Tensor, seed: int,
        update_codebooks: bool = True,
    ) -> Output:  # fmt: skip
        """One training forward: see ``codecbench_train.trainable.Trainable``."""
        latent = self._latent(audio)
        frames = -(-num_samples.to(audio.device) // self.hop_samples)
        valid = torch.arange(latent.shape[1], device=audio.device)[None, :] < frames[:, None]
        context = StepContext(step, seed, sample_index, valid, learn=torch.is_grad_enabled())
        with torch.autocast(audio.device.type, enabled=False):
            latent = latent.to(torch.promote_types(latent.dtype, torch.float32))
            parts, codes, losses = self._quantize(latent, context)
        if update_codebooks and context.learn:
            self.update_codebooks(step=step, seed=seed)
        first = latent + (parts[0] - latent).detach()
        quantized = latent + (torch.stack(parts).sum(dim=0) - latent).detach()
        counts = [torch.bincount(codes[:, k][valid], minlength=n) for k, n in enumerate(self.codebook_sizes)]
        return Output(
            reconstruction=self._synthesise(quantized, audio.shape[-1]),
            semantic_features=self.distillation_head(first),
            commitment=Losses(losses[0], torch.stack(losses[1:]).sum(dim=0)),
            codebook=Losses(losses[0].detach(), torch.stack(losses[1:]).sum(dim=0).detach()),
            codes=codes,
            num_frames=frames,
            kept_codebooks=torch.full_like(frames, len(parts)),
            usage=Usage(tuple(c.to(latent.dtype) for c in counts)),
        )

    def _quantize(self, latent: Tensor, context: StepContext) -> tuple[list[Tensor], Tensor, list[Tensor]]:
        """Entries ``[B, F, D]``, codes ``[B, K, F]`` and commitment losses ``[B]`` of every book."""
        residual, parts, codes, losses = latent, [], [], []
        for book in self.codebooks:
            assert isinstance(book, Codebook)
            if context.learn:
                book.start(residual, context)
            codes.append(book.nearest(residual))
            entry = book(codes[-1]).to(residual.dtype).detach()
            if context.learn:
                book.observe(residual, codes[-1], context)
            error = (residual - entry).square().mean(-1) * context.valid
            losses.append(error.sum(1) / context.valid.sum(1).clamp_min(1))
            residual = residual - entry
            parts.append(entry)
        return parts, torch.stack(codes, dim=1), losses

    def update_codebooks(self, *, step: int, seed: int) -> None:
        """Move the codebooks by what the training forwards since the last call saw, on all ranks together."""
        for book in self.codebooks:
            assert isinstance(book, Codebook)
            book.move(step, seed)

    def compilable_parts(self) -> list[nn.Module]:
        """Encoder and decoder."""
        return [self.encoder, self.decoder]

    def take_weights(self, state: Mapping[str, Tensor]) -> list[str]:
        """Load what fits of ``state``, to train on from it; returns the names of the weights that start anew."""
        return take_weights(self, state)

    def no_decay_parameter_names(self) -> set[str]:
        """Biases, weight-norm gains and codebooks."""
        return {
            name
            for name, p in self.named_parameters()
            if p.dim() < 2 or name.endswith("original0") or name.startswith("codebooks.")
        }

    def save_pretrained(self, path: str | Path, dtype: torch.dtype = torch.float32, licence: str = "") -> Path:
        """Write what inference needs to one safetensors file."""
        from safetensors.torch import save_file

        state = {
            key: value.detach().to("cpu", dtype).contiguous()
            for key, value in self.state_dict().items()
            if not _is_training_only(key)
        }
        metadata = {SIZE_KEY: json.dumps(dataclasses.asdict(self.size)), "licence": licence}
        path = Path(path)
        partial = path.with_suffix(".partial")
        save_file(state, partial, metadata=metadata)
        return partial.rename(path)


def build(preset: str, overrides: Mapping[str, object]) -> SpeechTokenizerStyle:
    """A model from a preset with changed fields. Raises ``ValueError`` for an unknown preset or field."""
    if preset not in SIZES:
        raise ValueError(f"no such preset; known: {', '.join(SIZES)}")
    fields = {field.name for field in dataclasses.fields(Size)}
    unknown = set(overrides) - fields
    if unknown:
        raise ValueError(f"unknown field {min(unknown)!r}; known: {', '.join(sorted(fields))}")
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in overrides.items()}
    return SpeechTokenizerStyle(dataclasses.replace(SIZES[preset], **values))  # type: ignore[arg-type]


def load(path: Path) -> SpeechTokenizerStyle:
    """A model from a file that ``save_pretrained`` wrote. Raises ``ValueError`` where it is another kind of file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            stated = (file.metadata() or {}).get(SIZE_KEY)
            if stated is None:
                raise ValueError(f"{path} holds no SpeechTokenizer-style model")
            table = json.loads(stated)
            size = Size(**(table | {"strides": tuple(table["strides"])}))
            state = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118 - not a mapping
        check_stated(lambda: SpeechTokenizerStyle(size), state, _is_training_only, f"{path} does not fit")
        model = SpeechTokenizerStyle(size)
    except (SafetensorError, OSError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read as a SpeechTokenizer-style model: {error}") from None
    model.load_state_dict(state, strict=False)
    return model


def _is_training_only(key: str) -> bool:
    return key.startswith("distillation_head.") or ".ema." in key
