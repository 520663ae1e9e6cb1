"""LM-SPT as one module: encode, decode, the partial decodes, saving and loading."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from codecbench_lmspt import checks, chunks, weights
from codecbench_lmspt.codebook import take_weights
from codecbench_lmspt.convolution import WeightNormed
from codecbench_lmspt.decoders import build_decoder
from codecbench_lmspt.encoders import build_encoder, weight_dtype
from codecbench_lmspt.flow import Flow, Memory
from codecbench_lmspt.quantizer import SplitQuantizer
from codecbench_lmspt.spec import ModelSpec, SpectralEncoderSpec
from codecbench_lmspt.stages import Decoder

if TYPE_CHECKING:
    from codecbench_lmspt.streaming import StreamingSession
    from codecbench_lmspt.training import TrainingOutput

DEFAULT_CHUNK_SECONDS = 30.0


class LMSPT(nn.Module):
    """An LM-SPT codec: two encoders, a split quantizer, a decoder and a small auxiliary semantic decoder.

    Source: Jo et al., "LM-SPT: LM-Aligned Semantic Distillation for Speech Tokenization", arXiv 2506.16738; for the
    ``release`` preset the official code's architecture. Top-level names are those of the official checkpoint.
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        width = spec.latent_width
        self.spec = spec
        self.semantic_encoder = build_encoder(spec.encoder, width, spec.causal, spec.sample_rate_hz)
        self.acoustic_encoder = (
            build_encoder(spec.encoder, width, spec.causal, spec.sample_rate_hz) if spec.encoders == 2 else None
        )
        self.decoder = build_decoder(spec.decoder, width, spec.causal)
        self.aux_decoder = build_decoder(spec.aux_decoder, width, spec.causal) if spec.aux_decoder else None
        self.quantizer = SplitQuantizer(spec.quantizer, width)
        if isinstance(spec.encoder, SpectralEncoderSpec) and spec.encoder.linear_bands:
            self.quantizer.keep_first_coefficients()
        head = spec.training.distillation_head_dim
        self.distillation_head = nn.Linear(width, head) if head else None
        self.chunk_seconds: float | None = DEFAULT_CHUNK_SECONDS
        self._cuda_graphs = False

    # -- what it is ---------------------------------------------------------------------------------------------------

    @property
    def sample_rate_hz(self) -> int:
        """Rate of the audio that goes in and of the main decoder's."""
        return self.spec.sample_rate_hz

    @property
    def hop_samples(self) -> int:
        """Samples per token frame."""
        return self.spec.hop_samples

    @property
    def frame_rate_hz(self) -> float:
        """Token frames per second."""
        return self.spec.frame_rate_hz

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Entries of each codebook, the semantic one first."""
        return self.spec.codebook_sizes

    @property
    def num_codebooks(self) -> int:
        """Number of codebooks K, the semantic one included."""
        return len(self.codebook_sizes)

    @property
    def aux_sample_rate_hz(self) -> int:
        """Rate of the semantic resynthesis."""
        return (self.spec.aux_decoder or self.spec.decoder).sample_rate_hz

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.quantizer.semantic_vocab_usage.device

    # -- use ----------------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def encode(self, audio: Tensor, num_samples: Tensor | None = None, *, num_codebooks: int | None = None) -> Tensor:
        """Turn ``audio[B, 1, T]`` into codes ``[B, K, ceil(T / hop)]`` (int64, the semantic book first).

        ``num_samples[B]`` are the true lengths in a padded batch: each row's codes are those of the row alone, and
        zero beyond its own frames. Raises ``ValueError`` on a wrong shape, empty audio or values that are not finite.
        """
        num_samples = checks.check_audio(audio, num_samples)
        books = checks.check_books(num_codebooks, self.num_codebooks)
        return chunks.encode(self, audio, num_samples, books)

    @torch.inference_mode()
    def decode(self, codes: Tensor, num_samples: Tensor | None = None) -> Tensor:
        """Turn codes ``[B, n, F]`` of the first n books (n = 1: semantic only) into audio ``[B, 1, T]``.

        T is F * hop, or the longest of ``num_samples[B]``, beyond which each row is zero. Raises ``ValueError`` on
        codes of wrong shape or out of range.
        """
        checks.check_codes(codes, self.codebook_sizes)
        return self._synthesise(self.decoder, self.quantizer.decode, codes, num_samples)

    @torch.inference_mode()
    def decode_semantic(self, codes: Tensor, num_samples: Tensor | None = None, *, aux: bool = True) -> Tensor:
        """Resynthesise from the semantic book alone: by the auxiliary decoder, or by the main one (``aux=False``).

        The auxiliary decoder's rate is ``aux_sample_rate_hz``; ``num_samples[B]`` counts samples of the output.
        """
        checks.check_codes(codes, self.codebook_sizes)
        decoder = self.aux_decoder if aux and self.aux_decoder is not None else self.decoder
        return self._synthesise(decoder, self.quantizer.decode_semantic, codes, num_samples)

    @torch.inference_mode()
    def decode_acoustic(self, codes: Tensor, num_samples: Tensor | None = None) -> Tensor:
        """Decode without the semantic book, which stays in front of ``codes`` but is not used."""
        checks.check_codes(codes, self.codebook_sizes)
        if codes.shape[1] < 2:
            raise ValueError("acoustic-only decoding needs at least one acoustic codebook: codes[B, n >= 2, F]")
        return self._synthesise(self.decoder, self.quantizer.decode_acoustic, codes, num_samples)

    def stream(self, batch_size: int = 1) -> StreamingSession:
        """A session that encodes and decodes audio as it arrives; causal presets only (``ValueError`` otherwise)."""
        from codecbench_lmspt.streaming import StreamingSession

        return StreamingSession(self, batch_size)

    def _synthesise(self, decoder: Decoder, lookup: chunks.Lookup, codes: Tensor, num_samples: Tensor | None) -> Tensor:
        hop = decoder.hop_samples
        codes = codes.to(self.device)
        checks.check_output_lengths(num_samples, codes, hop)
        if decoder.is_chaotic and codes.shape[0] > 1:
            return self._row_by_row(decoder, lookup, codes, num_samples)
        frames = None if num_samples is None else -(-num_samples.to(self.device) // hop)
        if frames is not None and bool((frames == codes.shape[-1]).all()):
            frames = None
        audio = chunks.decode(self, decoder, lookup, codes, frames)
        return audio if num_samples is None else _trim(audio, num_samples)

    def _row_by_row(self, decoder: Decoder, lookup: chunks.Lookup, codes: Tensor, num_samples: Tensor | None) -> Tensor:
        """Each row as it is alone, to the last bit: no batch rounds differently from its rows."""
        hop = decoder.hop_samples
        lengths = [codes.shape[-1] * hop] * len(codes) if num_samples is None else num_samples.tolist()
        rows = [
            self._synthesise(decoder, lookup, row[None, :, : max(1, -(-length // hop))], torch.tensor([length]))
            for row, length in zip(codes, lengths, strict=True)
        ]
        return torch.cat([F.pad(row, (0, max(lengths) - row.shape[-1])) for row in rows])

    # -- parts of encode and decode that training and streaming share --------------------------------------------------

    def latents(self, audio: Tensor, lengths: Tensor | None, memory: Memory | None = None) -> tuple[Tensor, Tensor]:
        """Semantic and acoustic latents ``[B, D, F]`` of hop-padded ``audio[B, 1, T]`` with lengths in samples.

        ``memory`` is a streaming session's: what the causal convolutions of both encoders remember.
        """
        audio = audio.to(weight_dtype(self.semantic_encoder))
        semantic = self.semantic_encoder(audio, Flow(lengths, memory))
        if self._cuda_graphs:  # the second encoder's graph may use the memory of the first one's output again
            semantic = semantic.clone()
        if self.acoustic_encoder is None:
            return semantic, semantic
        return semantic, self.acoustic_encoder(audio, Flow(lengths, memory))

    # -- preparation --------------------------------------------------------------------------------------------------

    def for_inference(self, dtype: torch.dtype = torch.float32, compile_mode: str = "none") -> LMSPT:
        """Fold weight norm, freeze, and set the type of encoders and decoders (the quantizer stays in float32).

        ``compile_mode``: ``none``, ``compile`` (torch.compile) or ``cudagraphs`` (torch.compile with CUDA graphs).
        """
        modes = {"none": None, "compile": "default", "cudagraphs": "reduce-overhead"}
        if compile_mode not in modes:
            raise ValueError(f"compile_mode must be one of {', '.join(modes)}, not {compile_mode!r}")
        for module in self.modules():
            if isinstance(module, WeightNormed):
                module.fold()
        self.eval().requires_grad_(False)
        self._cuda_graphs = compile_mode == "cudagraphs"
        for part in self.compilable_parts():
            part.to(dtype)
            if modes[compile_mode] is not None:
                part.compile(mode=modes[compile_mode])
        return self

    @classmethod
    def from_pretrained(cls, source: str | Path, *, preset: str | None = None, fold: bool = True) -> LMSPT:
        """Load a safetensors file, a folder with one, a preset with shipped weights, or ``kakaocorp/lmspt``.

        ``preset`` names the architecture where the file does not (official files are read as ``release``);
        ``fold=False`` keeps weight norm live, for training on. Raises ``weights.WeightsError``.
        """
        model = weights.load(cls, source, preset)
        return model.for_inference() if fold else model

    def save_pretrained(self, path: str | Path, dtype: torch.dtype = torch.float32, licence: str = "") -> Path:
        """Write the inference weights (official key layout) and the spec to one safetensors file; returns its path."""
        return weights.save(self, path, dtype, licence)

    # -- training (see training.py) -----------------------------------------------------------------------------------

    def training_forward(
        self,
        audio: Tensor,
        *,
        num_samples: Tensor | None = None,
        step: int,
        sample_index: Tensor,
        seed: int,
        update_codebooks: bool = True,
    ) -> TrainingOutput:
        """One training forward: see :func:`codecbench_lmspt.training.training_forward`."""
        from codecbench_lmspt.training import training_forward

        return training_forward(self, audio, num_samples, step, sample_index, seed, update_codebooks)

    # So that wrappers such as DistributedDataParallel, which hook `forward`, see a training step.
    forward = training_forward

    def update_codebooks(self, *, step: int, seed: int) -> None:
        """Move the moving-average codebooks and usage statistics by what the forwards since the last call saw."""
        self.quantizer.update(step, seed)

    def compilable_parts(self) -> list[nn.Module]:
        """Encoders and decoders: nearly all the work, without draws and without branches on data."""
        parts = (self.semantic_encoder, self.acoustic_encoder, self.decoder, self.aux_decoder)
        return [part for part in parts if part is not None]

    def take_weights(self, state: Mapping[str, Tensor]) -> list[str]:
        """Load what fits of ``state``, to train on from it; returns the names of the weights that start anew."""
        return take_weights(self, state)

    def no_decay_parameter_names(self) -> set[str]:
        """Parameters that weight decay must leave alone: codebooks, gains, biases, norms, Snake alphas, scales."""
        return {
            name
            for name, parameter in self.named_parameters()
            if parameter.dim() < 2 or name.endswith((".weight_g", ".alpha", ".codebook.weight"))
        }


def _trim(audio: Tensor, num_samples: Tensor) -> Tensor:
    lengths = num_samples.to(audio.device)
    audio = audio[..., : int(lengths.max())]
    return audio if bool((lengths == audio.shape[-1]).all()) else Flow(lengths).mask(audio)
