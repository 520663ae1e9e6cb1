"""What the trainer asks of a model, and all that it knows of one: two protocols, satisfied structurally."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

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


class TrainingOutput(Protocol):
    """Everything that the losses of one step look at.

    ``reconstruction[B, 1, T]`` at the model's rate, as long as the input. ``semantic_resynthesis[B, 1, T']`` at
    ``semantic_resynthesis_rate_hz``: speech rebuilt from the semantic codes alone, or None for a model without.
    ``semantic_features[B, F, D]``: projection of the quantized semantic stream for feature-level distillation, or
    None. ``codes[B, K, F]``; ``num_frames[B]`` valid frames; ``kept_codebooks[B]``.
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


@runtime_checkable
class Trainable(Protocol):
    """A codec that can be trained; in practice also an ``nn.Module``.

    Every random choice inside ``training_forward`` must be keyed by ``seed``, ``step`` and ``sample_index[b]`` (the
    utterance's place in the global batch sequence), so that the same global batch gives the same draws however it is
    split over ranks and micro-batches.
    """

    @property
    def sample_rate_hz(self) -> int: ...
    @property
    def hop_samples(self) -> int: ...

    def training_forward(
        self, audio: Tensor, *, num_samples: Tensor, step: int, sample_index: Tensor, seed: int
    ) -> TrainingOutput:
        """``audio[B, 1, T]`` at the model's rate, zeros beyond ``num_samples[B]``."""


class TrainableModule(nn.Module):
    """Static type of a model in the trainer: an ``nn.Module`` that satisfies ``Trainable``."""

    sample_rate_hz: int
    hop_samples: int

    def training_forward(
        self, audio: Tensor, *, num_samples: Tensor, step: int, sample_index: Tensor, seed: int
    ) -> TrainingOutput:
        """See ``Trainable``."""
        raise NotImplementedError
