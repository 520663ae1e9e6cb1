"""What the trainer asks of a model, and all that it knows of one: protocols, satisfied structurally."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch
from torch import Tensor, nn


class QuantizerLosses(Protocol):
    """One quantizer loss for each stream and utterance, ``[B]`` each, summed over the kept codebooks."""

    def items(self) -> Iterator[tuple[str, Tensor]]:
        """Stream names and losses."""


class Usage(Protocol):
    """How often each entry of each codebook was chosen by this forward on this rank."""

    @property
    def counts(self) -> Sequence[Tensor]:
        """``[N_k]`` for each codebook k, floating point."""


class Spectrum(Protocol):
    """Magnitudes that a decoder predicted, before any phase, beside those of the original at the same frames.

    ``log_magnitude[B, F, bins]`` (natural), ``target[B, F, bins]`` (magnitudes), ``valid[B, F]``; the bins are equally
    spaced from 0 to half of ``sample_rate_hz``. A full-scale sine has a magnitude of ``full_scale``. Of a decoder that
    chooses harmonics: ``pitch_logits[B, F, candidates]`` and ``pitch_target`` of the same shape, the original's
    distribution over candidates times the frame's voicing; None for others.
    """

    @property
    def log_magnitude(self) -> Tensor: ...
    @property
    def target(self) -> Tensor: ...
    @property
    def valid(self) -> Tensor: ...
    @property
    def sample_rate_hz(self) -> int: ...
    @property
    def full_scale(self) -> float: ...
    @property
    def pitch_logits(self) -> Tensor | None: ...
    @property
    def pitch_target(self) -> Tensor | None: ...


class TrainingOutput(Protocol):
    """Everything that the losses of one step look at.

    ``reconstruction[B, 1, T]`` at the model's rate, as long as the input. ``semantic_resynthesis[B, 1, T']`` at
    ``semantic_resynthesis_rate_hz``: speech rebuilt from the semantic codes alone, or None for a model without.
    ``semantic_features[B, F, D]``: projection of the quantized semantic stream for feature-level distillation, or
    None. ``codes[B, K, F]``; ``num_frames[B]`` valid frames; ``kept_codebooks[B]``. ``spectrum`` and
    ``semantic_spectrum``: of a decoder that predicts magnitudes, for losses on these; None for others.
    """

    @property
    def reconstruction(self) -> Tensor: ...
    @property
    def semantic_resynthesis(self) -> Tensor | None: ...
    @property
    def semantic_resynthesis_rate_hz(self) -> int: ...
    @property
    def semantic_features(self) -> Tensor | None: ...
    @property
    def commitment(self) -> QuantizerLosses: ...
    @property
    def codebook(self) -> QuantizerLosses: ...
    @property
    def codes(self) -> Tensor: ...
    @property
    def num_frames(self) -> Tensor: ...
    @property
    def kept_codebooks(self) -> Tensor: ...
    @property
    def usage(self) -> Usage: ...
    @property
    def spectrum(self) -> Spectrum | None: ...
    @property
    def semantic_spectrum(self) -> Spectrum | None: ...


class _TrainableMethods(Protocol):
    """A codec that can be trained; in practice also an ``nn.Module``.

    Every random choice inside ``training_forward`` must be keyed by ``seed``, ``step`` and ``sample_index[b]`` (the
    utterance's place in the global batch sequence), so that the same global batch gives the same draws however it is
    split over ranks and micro-batches.
    """

    @property
    def sample_rate_hz(self) -> int:
        """Rate of the audio that goes in and comes out."""

    @property
    def hop_samples(self) -> int:
        """Samples per token frame."""

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Entries of each codebook."""

    def training_forward(
        self,
        audio: Tensor,
        *,
        num_samples: Tensor,
        step: int,
        sample_index: Tensor,
        seed: int,
        update_codebooks: bool = ...,
    ) -> TrainingOutput:
        """``audio[B, 1, T]`` at the model's rate, valid up to ``num_samples[B]``.

        With ``update_codebooks`` False, what the forward saw is only noted for the next ``update_codebooks`` call; a
        forward under ``torch.no_grad`` notes nothing.
        """

    def update_codebooks(self, *, step: int, seed: int) -> None:
        """Move codebooks that learn without gradients, from what all ranks' forwards noted since the last call."""

    def take_weights(self, state: Mapping[str, Tensor]) -> list[str]:
        """Load what fits of ``state`` (a checkpoint's or exported weights, perhaps of another preset), to train on.

        Returns the names of the weights that start anew.
        """

    def no_decay_parameter_names(self) -> set[str]:
        """Parameters that weight decay must leave alone."""

    def compilable_parts(self) -> Sequence[nn.Module]:
        """Modules whose forward torch.compile may translate: no random draws, no branches on data."""

    def encode(self, audio: Tensor, num_samples: Tensor | None = None) -> Tensor:
        """``audio[B, 1, T]`` to codes ``[B, K, F]``."""

    def decode(self, codes: Tensor, num_samples: Tensor | None = None) -> Tensor:
        """Codes ``[B, K, F]`` to audio ``[B, 1, T]``."""

    def save_pretrained(self, path: str | Path, dtype: torch.dtype = ..., licence: str = ...) -> Path:
        """Write the weights that inference needs as safetensors."""


@runtime_checkable
class Trainable(_TrainableMethods, Protocol):
    """See ``_TrainableMethods``; checked when a model is built."""


if TYPE_CHECKING:

    class TrainableModule(nn.Module, _TrainableMethods):
        """Static type of a model in the trainer: an ``nn.Module`` that is ``Trainable``."""
else:
    TrainableModule = nn.Module
