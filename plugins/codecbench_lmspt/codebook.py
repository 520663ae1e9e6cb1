"""One codebook: search, lookup, and how it learns (by gradient, or by moving averages with k-means and restarts)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from codecbench_lmspt import random_draws
from codecbench_lmspt.ranks import gather_vectors, sum_over_ranks
from codecbench_lmspt.spec import QuantizerSpec


@dataclass(frozen=True)
class StepContext:
    """What draws and masks of one training forward depend on.

    ``sample_index[B]`` are indices in the global batch, ``valid[B, F]`` marks real frames. Only where ``learn`` is set
    do codebooks start and note what they see.
    """

    step: int
    seed: int
    sample_index: Tensor
    valid: Tensor
    learn: bool = True


class Codebook(nn.Module):
    """Vectors ``weight[N, d]`` with nearest-neighbour search; ``update`` is the rule by which they learn."""

    def __init__(self, spec: QuantizerSpec, size: int, name: str) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(size, spec.code_width))
        self.search = spec.search
        self.ema = MovingAverages(spec, size, name) if spec.update == "ema" else None
        self.weight.requires_grad_(self.ema is None)

    def nearest(self, vectors: Tensor) -> Tensor:
        """Index of the nearest entry for ``vectors[..., d]``: by cosine, or by Euclidean distance."""
        flat = vectors.detach().reshape(-1, vectors.shape[-1])
        flat = flat.to(torch.promote_types(flat.dtype, torch.float32))
        table = self.weight.detach().to(flat.dtype)
        with torch.autocast(flat.device.type, enabled=False):
            if self.search == "cosine":
                score = F.normalize(flat, dim=-1) @ F.normalize(table, dim=-1).T
            else:
                score = torch.addmm(-0.5 * table.square().sum(-1), flat, table.T)
        return score.argmax(-1).view(vectors.shape[:-1])

    def forward(self, codes: Tensor) -> Tensor:
        """Entries ``[..., d]`` for ``codes[...]``."""
        return F.embedding(codes, self.weight)

    def start(self, vectors: Tensor, context: StepContext) -> None:
        """First vectors of a moving-average codebook start it by k-means; nothing to do for the gradient rule."""
        if self.ema is not None and not self.ema.is_started():
            self.ema.start(self.weight, vectors.detach(), context)

    def observe(self, vectors: Tensor, codes: Tensor, context: StepContext) -> None:
        """Note which vectors chose which entry, for the next :meth:`move`."""
        if self.ema is not None:
            self.ema.observe(vectors.detach(), codes, context)

    def move(self, step: int, seed: int) -> None:
        """Move the entries by what was observed since the last call, on all ranks together."""
        if self.ema is not None:
            self.ema.move(self.weight, step, seed)


class MovingAverages(nn.Module):
    """Exponential moving averages of cluster sizes and sums (van den Oord et al., arXiv 1711.00937, appendix A).

    Starts by k-means on the first batch and replaces entries whose average use falls below ``dead_code_share`` of the
    mean use by vectors of the current batch (Dhariwal et al., arXiv 2005.00341; Zeghidour et al., arXiv 2107.03312).
    The share is relative (our choice): a fixed count would kill most of a large codebook at a small batch.
    """

    size: Tensor
    sum: Tensor
    started: Tensor

    def __init__(self, spec: QuantizerSpec, entries: int, name: str) -> None:
        super().__init__()
        self.spec, self.name = spec, name
        self.register_buffer("size", torch.ones(entries))
        self.register_buffer("sum", torch.zeros(entries, spec.code_width))
        self.register_buffer("started", torch.zeros((), dtype=torch.bool))
        self._known_started = False
        self._seen: list[tuple[Tensor, Tensor, Tensor]] = []
        self._counts: Tensor | None = None
        self._sums: Tensor | None = None

    def is_started(self) -> bool:
        """Whether k-means has run; asks the device only until it has."""
        self._known_started = self._known_started or bool(self.started)
        return self._known_started

    @torch.no_grad()
    def adopt(self, weight: nn.Parameter) -> None:
        """Continue from entries that were trained before, each counted once."""
        self.size.fill_(1.0)
        self.sum.copy_(weight)
        self.started.fill_(True)

    @torch.no_grad()
    def start(self, weight: nn.Parameter, vectors: Tensor, context: StepContext) -> None:
        """Set the entries to k-means centres of the global batch ``vectors[B, F, d]``."""
        points = gather_vectors(vectors.to(weight.dtype), context.valid, context.sample_index)
        if len(points) == 0:
            return
        draws = random_draws.generator(context.seed, context.step, self.name, "k-means")
        # One centre for each eight vectors at most: a perfect fit of this batch would leave later books no residual.
        clusters = max(1, min(len(weight), len(points) // 8))
        centres = kmeans(points, clusters, self.spec.kmeans_iterations, draws)
        weight.copy_(_fill_up(centres, len(weight), draws))
        # Entries beyond the centres count as dead, so that the next moves replace them by vectors of their batches.
        self.size.zero_()
        self.size[:clusters] = len(points) / clusters
        self.sum.copy_(weight * self.size[:, None])
        self.started.fill_(True)

    @torch.no_grad()
    def observe(self, vectors: Tensor, codes: Tensor, context: StepContext) -> None:
        """Add this rank's counts and sums, ``vectors[B, F, d]`` and ``codes[B, F]``."""
        chosen, points = codes[context.valid], vectors[context.valid].to(self.sum.dtype)
        if self._counts is None or self._sums is None:
            self._counts, self._sums = torch.zeros_like(self.size), torch.zeros_like(self.sum)
        self._counts.index_add_(0, chosen, torch.ones_like(points[:, 0]))
        self._sums.index_add_(0, chosen, points)
        self._seen.append((vectors, context.valid, context.sample_index))

    @torch.no_grad()
    def move(self, weight: nn.Parameter, step: int, seed: int) -> None:
        """One moving-average step from global statistics, then restarts."""
        if self._counts is None or self._sums is None:
            return
        both = sum_over_ranks(torch.cat([self._counts[:, None], self._sums], dim=1))
        self.size.lerp_(both[:, 0], 1 - self.spec.ema_decay)
        self.sum.lerp_(both[:, 1:], 1 - self.spec.ema_decay)
        # An entry too rare for a stable mean keeps its place until it is restarted.
        alive = self.size > 1e-5
        weight.copy_(torch.where(alive[:, None], self.sum / self.size.clamp_min(1e-5)[:, None], weight))
        self._restart(weight, step, seed)
        self._seen, self._counts, self._sums = [], None, None

    def _restart(self, weight: nn.Parameter, step: int, seed: int) -> None:
        mean = self.size.mean()
        dead = (self.size < self.spec.dead_code_share * mean).nonzero()[:, 0]
        if not len(dead):  # the same on every rank, because the averages are
            return
        points = torch.cat([gather_vectors(*seen) for seen in self._seen]).to(weight.dtype)
        if not len(points):
            return
        draws = random_draws.generator(seed, step, self.name, "restart")
        # No vector twice in one round: entries that are equal would share their frames by rounding errors.
        dead = dead[: len(points)]
        chosen = points[_pick(len(points), len(dead), draws).to(points.device)]
        chosen = chosen + TIE_BREAK * _noise_like(chosen, draws) * points.std(dim=0, correction=0)
        weight[dead] = chosen
        self.size[dead] = mean
        self.sum[dead] = chosen * mean


# Digital silence gives many equal vectors. Entries made of them are moved apart by this share of the batch's spread, so
# that the choice between them never hangs on a rounding error, which differs with the number of ranks.
TIE_BREAK = 1e-3


def _pick(population: int, count: int, draws: torch.Generator) -> Tensor:
    """``count`` indices, without repetition as long as the population lasts."""
    rounds = -(-count // population)
    return torch.cat([torch.randperm(population, generator=draws) for _ in range(rounds)])[:count]


def _fill_up(centres: Tensor, entries: int, draws: torch.Generator) -> Tensor:
    """``entries`` vectors: the centres, then slightly disturbed copies of them."""
    copies = centres[_pick(len(centres), entries, draws)[len(centres) :].to(centres.device)]
    return torch.cat([centres, copies + 1e-2 * _noise_like(copies, draws) * centres.std(dim=0, correction=0)])


def _noise_like(vectors: Tensor, draws: torch.Generator) -> Tensor:
    """Normal noise of the shape, type and device of ``vectors``, the same on every device."""
    return torch.randn(vectors.shape, generator=draws, dtype=torch.float64).to(vectors)


@torch.no_grad()
def take_weights(model: nn.Module, state: Mapping[str, Tensor]) -> list[str]:
    """Load what fits of ``state`` by name and shape, to train on from it; returns the names of what starts anew.

    ``state`` may be of another preset (another frame rate shares most of its weights) and without the moving averages
    that only checkpoints hold: a codebook whose entries came without them goes on from its entries.
    """
    own = model.state_dict()
    taken = {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}
    model.load_state_dict({name: value.to(own[name].dtype) for name, value in taken.items()}, strict=False)
    for name, book in model.named_modules():
        known, averaged = f"{name}.weight" in taken, f"{name}.ema.size" in taken
        if isinstance(book, Codebook) and book.ema is not None and known and not averaged:
            book.ema.adopt(book.weight)
    return [name for name in own if name not in taken and ".ema." not in name]


def kmeans(points: Tensor, clusters: int, iterations: int, draws: torch.Generator) -> Tensor:
    """Lloyd's algorithm on ``points[M, d]`` from random points, M >= clusters."""
    centres = points[_pick(len(points), clusters, draws).to(points.device)]
    centres = centres + TIE_BREAK * _noise_like(centres, draws) * points.std(dim=0, correction=0)
    for _ in range(iterations):
        nearest = torch.addmm(-0.5 * centres.square().sum(-1), points, centres.T).argmax(-1)
        counts = torch.zeros(clusters, dtype=points.dtype, device=points.device)
        counts.index_add_(0, nearest, torch.ones_like(points[:, 0]))
        sums = torch.zeros_like(centres).index_add_(0, nearest, points)
        centres = torch.where(counts[:, None] > 0, sums / counts.clamp_min(1)[:, None], centres)
    return centres
