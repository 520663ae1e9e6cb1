"""The split quantizer: one semantic codebook, a residual stack of acoustic ones.

Sources: LM-SPT paper (split quantization as in Mimi, arXiv 2410.00037); the official checkpoint (semantic subtraction,
factorised cosine codebooks: Kumar et al., arXiv 2306.06546).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from codecbench_lmspt.codebook import Codebook, StepContext
from codecbench_lmspt.convolution import WeightNormed
from codecbench_lmspt.linear_path import keep_first
from codecbench_lmspt.ranks import sum_over_ranks
from codecbench_lmspt.spec import QuantizerSpec


class Projection(WeightNormed):
    """A weight-normalised 1x1 convolution on ``[B, F, C]``."""

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__((cout, cin, 1), cout, cin)

    def forward(self, x: Tensor) -> Tensor:
        """``x[B, F, C]`` to ``[B, F, C']``."""
        return nn.functional.linear(x, self.current_weight()[..., 0], self.bias)


@dataclass(frozen=True)
class StreamOutput:
    """A quantized stream: ``latent[B, F, D]``, ``codes[B, n, F]``, losses ``[B]`` summed over kept books."""

    latent: Tensor
    codes: Tensor
    commitment: Tensor
    codebook: Tensor


class VectorQuantizer(nn.Module):
    """One book, with projections of its own if the spec has them per book."""

    def __init__(self, spec: QuantizerSpec, size: int, latent_width: int, name: str) -> None:
        super().__init__()
        per_book = spec.projection == "per-book"
        self.in_proj = Projection(latent_width, spec.code_width) if per_book else nn.Identity()
        self.out_proj = Projection(spec.code_width, latent_width) if per_book else nn.Identity()
        self.codebook = Codebook(spec, size, name)


class ResidualQuantizer(nn.Module):
    """A stack of books, each coding what the ones before left; a single book is a stack of one."""

    def __init__(self, spec: QuantizerSpec, sizes: tuple[int, ...], latent_width: int, name: str) -> None:
        super().__init__()
        per_stream = spec.projection == "per-stream"
        self.spec, self.per_book = spec, not per_stream
        self.in_proj = Projection(latent_width, spec.code_width) if per_stream else nn.Identity()
        self.out_proj = Projection(spec.code_width, latent_width) if per_stream else nn.Identity()
        self.quantizers = nn.ModuleList(
            VectorQuantizer(spec, size, latent_width, f"{name}{i}") for i, size in enumerate(sizes)
        )

    @property
    def books(self) -> list[VectorQuantizer]:
        """The books in decoding order."""
        return cast(list[VectorQuantizer], list(self.quantizers))

    def bypassed(self, step: int) -> bool:
        """Whether latents still pass unquantized at a training step (``start_step`` of the spec)."""
        ema = self.books[0].codebook.ema
        return step < self.spec.start_step and not self.per_book and ema is not None and not ema.is_started()

    def encode(self, latent: Tensor, books: int) -> Tensor:
        """``latent[B, F, D]`` to codes ``[B, books, F]``."""
        residual, codes = self.in_proj(latent), []
        for book in self.books[:books]:
            index = book.codebook.nearest(book.in_proj(residual))
            codes.append(index)
            if len(codes) < books:
                residual = residual - book.out_proj(book.codebook(index))
        return torch.stack(codes, dim=1) if codes else latent.new_zeros(len(latent), 0, latent.shape[1]).long()

    def decode(self, codes: Tensor) -> Tensor:
        """Codes ``[B, n, F]`` of the first n books to the latent ``[B, F, D]``."""
        total = sum(
            book.out_proj(book.codebook(codes[:, i]))
            for i, book in zip(range(codes.shape[1]), self.books, strict=False)
        )
        latent: Tensor = self.out_proj(total)
        return latent

    def forward(self, latent: Tensor, kept: Tensor, context: StepContext) -> StreamOutput:
        """Quantize for training: ``latent[B, F, D]``; row b keeps its first ``kept[b]`` books.

        All books run, so that codebooks learn from every row; the sum and the losses see the kept ones only (as the
        official training step). Gradients pass straight through each search (Bengio et al., arXiv 1308.3432).
        """
        start = residual = self.in_proj(latent)
        if self.bypassed(context.step):
            return self._unquantized(start, kept)
        total, codes = torch.zeros_like(residual), []
        commitment = codebook = latent.new_zeros(latent.shape[0])
        for i, book in enumerate(self.books):
            keep = (kept > i).to(latent.dtype)
            z = book.in_proj(residual)
            if context.learn:
                book.codebook.start(z, context)
            index = book.codebook.nearest(z)
            entry = book.codebook(index).to(z.dtype)
            if context.learn:
                book.codebook.observe(z, index, context)
            commitment = commitment + keep * _mean_square(z, entry.detach(), context.valid)
            codebook = codebook + keep * _mean_square(entry, z.detach(), context.valid)
            quantized = book.out_proj(z + (entry - z).detach()) if self.per_book else entry.detach()
            residual = residual - quantized
            total = total + keep[:, None, None] * quantized
            codes.append(index)
        if not self.per_book:
            total = self.out_proj(start + (total - start).detach()) * (kept > 0).to(latent.dtype)[:, None, None]
        return StreamOutput(total, torch.stack(codes, dim=1), commitment, codebook)

    def _unquantized(self, start: Tensor, kept: Tensor) -> StreamOutput:
        """Before the codebooks start: the projected latent itself, no losses, code 0 everywhere."""
        latent = self.out_proj(start) * (kept > 0).to(start.dtype)[:, None, None]
        none = start.new_zeros(start.shape[0])
        codes = torch.zeros(start.shape[0], len(self.books), start.shape[1], dtype=torch.long, device=start.device)
        return StreamOutput(latent, codes, none, none)


def _mean_square(a: Tensor, b: Tensor, valid: Tensor) -> Tensor:
    """Mean over code dimensions and valid frames, per row."""
    error = (a - b).square().mean(-1) * valid
    return error.sum(1) / valid.sum(1).clamp_min(1)


@dataclass(frozen=True)
class SplitOutput:
    """Both streams of one training forward; ``usage[k]`` is the histogram ``[N_k]`` of book k."""

    semantic: StreamOutput
    acoustic: StreamOutput
    usage: tuple[Tensor, ...]


USAGE_DECAY = 0.99


class SplitQuantizer(nn.Module):
    """Semantic book ``rvq_first`` and acoustic stack ``rvq_rest``, with the usage statistics of the checkpoint layout.

    ``semantic_vocab_usage[1, N]`` and ``acoustic_vocab_usage[n, N]`` hold a moving average of each entry's share of
    frames (kept books and valid frames only).
    """

    semantic_vocab_usage: Tensor
    acoustic_vocab_usage: Tensor

    def __init__(self, spec: QuantizerSpec, latent_width: int) -> None:
        super().__init__()
        self.spec = spec
        self.register_buffer("semantic_vocab_usage", torch.zeros(1, spec.semantic_size))
        self.register_buffer("acoustic_vocab_usage", torch.zeros(spec.acoustic_books, spec.acoustic_size))
        self.rvq_first = ResidualQuantizer(spec, (spec.semantic_size,), latent_width, "semantic")
        self._seen: list[Tensor] = []
        acoustic = (spec.acoustic_size,) * spec.acoustic_books
        self.rvq_rest = ResidualQuantizer(spec, acoustic, latent_width, "acoustic")

    def keep_first_coefficients(self) -> None:
        """Have both streams begin as codes of a latent's first coefficients (encoders with a linear path)."""
        for stream in (self.rvq_first, self.rvq_rest):
            if isinstance(stream.in_proj, Projection) and isinstance(stream.out_proj, Projection):
                keep_first(stream.in_proj, stream.out_proj)

    def forward(self, semantic: Tensor, acoustic: Tensor, kept: Tensor, context: StepContext) -> SplitOutput:
        """Quantize latents ``[B, D, F]`` for training; ``kept[b]`` is how many acoustic books row b keeps (0: none)."""
        first = self.rvq_first(semantic.transpose(1, 2), torch.ones_like(kept), context)
        acoustic = acoustic.transpose(1, 2)
        if self.spec.semantic_subtraction:
            acoustic = acoustic - first.latent
        rest = self.rvq_rest(acoustic, kept, context)
        started = not self.rvq_first.bypassed(context.step)
        usage = self._count(torch.cat([first.codes, rest.codes], dim=1), kept, context, started)
        return SplitOutput(first, rest, usage)

    @torch.no_grad()
    def _count(self, codes: Tensor, kept: Tensor, context: StepContext, started: bool) -> tuple[Tensor, ...]:
        """Entries chosen by kept books in valid frames, one histogram per book; empty before the books start."""
        counts = []
        for book, size in enumerate((self.spec.semantic_size, *[self.spec.acoustic_size] * self.spec.acoustic_books)):
            chosen = codes[:, book][context.valid & (kept >= book)[:, None] & started]
            counts.append(torch.bincount(chosen, minlength=size).to(self.semantic_vocab_usage.dtype))
        if context.learn:
            seen = self._seen or [torch.zeros_like(new) for new in counts]
            self._seen = [total + new for total, new in zip(seen, counts, strict=True)]
        return tuple(counts)

    @torch.no_grad()
    def update(self, step: int, seed: int) -> None:
        """Apply what the training forwards since the last call saw, on all ranks together."""
        for stream in (self.rvq_first, self.rvq_rest):
            for book in stream.books:
                book.codebook.move(step, seed)
        if not self._seen:
            return
        share = [
            counts / counts.sum().clamp_min(1)
            for counts in sum_over_ranks(torch.cat(self._seen)).split([len(counts) for counts in self._seen])
        ]
        self.semantic_vocab_usage.lerp_(share[0][None], 1 - USAGE_DECAY)
        self.acoustic_vocab_usage.lerp_(torch.stack(share[1:]), 1 - USAGE_DECAY)
        self._seen = []

    def mark_started(self) -> None:
        """Take the present entries as moving averages' state: for training on from loaded weights."""
        for stream in (self.rvq_first, self.rvq_rest):
            for book in stream.books:
                if book.codebook.ema is not None:
                    book.codebook.ema.adopt(book.codebook.weight)

    def encode(self, semantic: Tensor, acoustic: Tensor, books: int) -> Tensor:
        """Latents ``[B, D, F]`` to the first ``books`` codes ``[B, books, F]``, the semantic one first."""
        own = self.semantic_vocab_usage.dtype  # float32 even where the encoders compute in half precision
        semantic, acoustic = semantic.transpose(1, 2).to(own), acoustic.transpose(1, 2).to(own)
        first = self.rvq_first.encode(semantic, 1)
        if books == 1:
            return first
        if self.spec.semantic_subtraction:
            acoustic = acoustic - self.rvq_first.decode(first)
        return torch.cat([first, self.rvq_rest.encode(acoustic, books - 1)], dim=1)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes ``[B, n, F]`` of the first n books to the latent ``[B, D, F]``."""
        latent = self.rvq_first.decode(codes[:, :1])
        if codes.shape[1] > 1:
            latent = latent + self.rvq_rest.decode(codes[:, 1:])
        return latent.transpose(1, 2)

    def decode_semantic(self, codes: Tensor) -> Tensor:
        """The semantic stream alone, ``[B, D, F]``."""
        return self.rvq_first.decode(codes[:, :1]).transpose(1, 2)

    def decode_acoustic(self, codes: Tensor) -> Tensor:
        """The acoustic stream alone, ``[B, D, F]``, from codes that still carry the semantic book in front."""
        return self.rvq_rest.decode(codes[:, 1:]).transpose(1, 2)
