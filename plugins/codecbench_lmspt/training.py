"""What one training step needs from the model: the forward pass with every intermediate that a loss looks at.

The trainer calls ``model.training_forward(audio, num_samples=..., step=..., sample_index=..., seed=...)`` and gets a
:class:`TrainingOutput`; it owns the losses, this file owns how their inputs are made (LM-SPT, arXiv 2506.16738, §3).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class StreamLosses:
    """One quantizer loss per stream and utterance.

    Each is ``[B]``: mean over code dimensions and valid frames of each utterance, summed over the codebooks that the
    utterance kept under codebook dropout. Average over the global batch (mean here, mean over ranks) for the loss.
    """

    semantic: Tensor
    acoustic: Tensor

    def items(self) -> Iterator[tuple[str, Tensor]]:
        """The streams' names and losses, in the order of the codebooks."""
        yield "semantic", self.semantic
        yield "acoustic", self.acoustic


@dataclass(frozen=True)
class CodebookUsage:
    """How often each entry of each codebook was chosen in this forward on this rank, by kept books and valid frames.

    ``counts[k]`` is ``[N_k]`` (float, so that it can be all-reduced with SUM): book 0 is the semantic one.
    """

    counts: tuple[Tensor, ...]


@dataclass(frozen=True)
class TrainingOutput:
    """Everything that the losses of one step look at.

    Shapes: ``reconstruction[B, 1, T]`` at the model's sample rate, as long as the input;
    ``semantic_resynthesis[B, 1, T']`` at ``semantic_resynthesis_rate_hz``, T' = round(T * that rate / sample rate);
    ``semantic_latent[B, D, F]`` the quantized semantic stream (straight-through); ``codes[B, K, F]`` int64;
    ``num_frames[B]``; ``kept_codebooks[B]`` how many of the K books each utterance kept (1 = semantic only).
    ``semantic_features[B, F, teacher_dim]`` is the projection head's output for feature-level distillation, or None
    where the preset has none (``training.distillation_head_dim = 0``).
    """

    reconstruction: Tensor
    semantic_resynthesis: Tensor
    semantic_resynthesis_rate_hz: int
    semantic_latent: Tensor
    semantic_features: Tensor | None
    commitment: StreamLosses
    codebook: StreamLosses
    codes: Tensor
    num_frames: Tensor
    kept_codebooks: Tensor
    usage: CodebookUsage
