"""A small recogniser of characters from codes, trained with CTC."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

# Outputs for each second that a fluent speaker's characters need; each step of the GRU gives several.
OUTPUT_RATE_HZ = 50.0
# Faster codes are averaged down to about this before the GRU, so that every codec costs about the same.
STEP_RATE_HZ = 12.5
WIDTH = 128
BATCH = 8
LEARNING_RATE = 2e-3


@dataclass(frozen=True)
class Example:
    """One utterance: codes int64 [K, F], characters int64 [L] from 1 (0 is CTC's blank)."""

    codes: torch.Tensor
    characters: torch.Tensor


class CodeRecognizer(nn.Module):
    """Sums the embeddings of all codebooks, looks around itself, and names characters.

    Two convolutions over codes, means of ``pooling`` frames, a bidirectional GRU over those, and ``upsampling`` outputs
    for each, so that codes slower than speech can spell it. Embeddings start from nothing, as a language model's do.
    Source of the loss: Graves et al., "Connectionist temporal classification", ICML 2006.
    """

    def __init__(self, codebook_sizes: Sequence[int], num_characters: int, frame_rate_hz: float) -> None:
        super().__init__()
        self.pooling = max(1, round(frame_rate_hz / STEP_RATE_HZ))
        self.upsampling = math.ceil(OUTPUT_RATE_HZ * self.pooling / frame_rate_hz)
        self.embeddings = nn.ModuleList(nn.Embedding(size, WIDTH) for size in codebook_sizes)
        self.convolutions = nn.ModuleList(nn.Conv1d(WIDTH, WIDTH, 5, padding=2) for _ in range(2))
        self.dropout = nn.Dropout(0.1)
        self.recurrent = nn.GRU(WIDTH, WIDTH, bidirectional=True, batch_first=True)
        self.output = nn.Linear(2 * WIDTH, self.upsampling * (num_characters + 1))

    def forward(self, codes: torch.Tensor, num_frames: torch.Tensor) -> torch.Tensor:
        """Return log probabilities [B, outputs, characters + 1] for codes int64 [B, K, F] and their true frames [B]."""
        inside = (torch.arange(codes.shape[2])[None] < num_frames[:, None])[..., None]
        embedded = torch.stack([book(codes[:, k]) for k, book in enumerate(self.embeddings)]).sum(0) * inside
        hidden = embedded
        for convolution in self.convolutions:  # padding is silenced again after each: it would leak into the next
            seen = convolution(hidden.transpose(1, 2)).transpose(1, 2)
            hidden = self.dropout(nn.functional.gelu(seen)) * inside
        hidden = embedded + hidden
        hidden = nn.functional.pad(hidden, (0, 0, 0, -hidden.shape[1] % self.pooling))
        hidden = hidden.unflatten(1, (-1, self.pooling)).mean(2)
        packed = nn.utils.rnn.pack_padded_sequence(
            hidden, self.num_steps(num_frames), batch_first=True, enforce_sorted=False
        )
        hidden, _ = nn.utils.rnn.pad_packed_sequence(self.recurrent(packed)[0], batch_first=True)
        return self.output(hidden).unflatten(2, (self.upsampling, -1)).flatten(1, 2).log_softmax(-1)

    def num_steps(self, num_frames: torch.Tensor) -> torch.Tensor:
        """Return the steps of the GRU, int64 [B], for as many frames."""
        return -(-num_frames // self.pooling)


def train(model: CodeRecognizer, examples: Sequence[Example], steps: int) -> None:
    """Train for ``steps`` batches in an order drawn from torch's generator; the rate rises, then falls to nothing."""
    optimizer = torch.optim.AdamW(model.parameters(), LEARNING_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step / steps))
    loss = nn.CTCLoss(zero_infinity=True)
    model.train()
    waiting: list[int] = []
    for _ in range(steps):
        if len(waiting) < min(BATCH, len(examples)):
            waiting += torch.randperm(len(examples)).tolist()
        batch, waiting = [examples[i] for i in waiting[:BATCH]], waiting[BATCH:]
        codes, frames = _collate(batch)
        optimizer.zero_grad()
        targets = torch.cat([e.characters for e in batch])
        lengths = torch.tensor([len(e.characters) for e in batch])
        loss(
            model(codes, frames).transpose(0, 1), targets, model.num_steps(frames) * model.upsampling, lengths
        ).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()


def _rate(done: float) -> float:
    """Share of the full rate: up over the first tenth, down along a cosine."""
    return min(1.0, 10 * done + 0.01) * 0.5 * (1 + math.cos(math.pi * done))


@torch.no_grad()
def recognize(model: CodeRecognizer, codes: torch.Tensor) -> list[int]:
    """Return the most likely character at each output, repeats and blanks left out, for codes [K, F]."""
    model.eval()
    best = model(codes[None], torch.tensor([codes.shape[1]]))[0].argmax(-1)
    return [c for c in torch.unique_consecutive(best).tolist() if c != 0]


def _collate(batch: Sequence[Example]) -> tuple[torch.Tensor, torch.Tensor]:
    frames = torch.tensor([e.codes.shape[1] for e in batch])
    codes = torch.zeros(len(batch), batch[0].codes.shape[0], int(frames.max()), dtype=torch.int64)
    for row, example in enumerate(batch):
        codes[row, :, : example.codes.shape[1]] = example.codes
    return codes, frames
