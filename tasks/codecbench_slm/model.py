"""The speech language model: a causal backbone, its vocabulary extended by control, speaker and speech tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codecbench_slm.backbone import make_backbone
from codecbench_slm.config import ModelConfig
from codecbench_slm.sequences import NUM_CONTROLS, SPEECH, TEXT, Batch

INITIAL_STD = 0.02


@dataclass(frozen=True)
class Nll:
    """Sums of negative log-likelihoods in nats and how many predictions they are of.

    text: scalar; speech: [K], one for each codebook, with as many counts.
    """

    text: Tensor
    text_count: Tensor
    speech: Tensor
    speech_count: Tensor


class SpeechLM(nn.Module):
    """Embeds text, control and speech places, and predicts text ids and K codes.

    The codes of a place are embedded each by its book's table and summed; each book has a head of its own (as MusicGen
    does). Rows of new tables are what extending the vocabulary would add; text keeps the backbone's table and head.
    """

    def __init__(self, backbone: Any, codebook_sizes: Sequence[int], num_speakers: int) -> None:
        """``num_speakers`` 0: speakers are not told; otherwise one token each and one for unknown ones."""
        super().__init__()
        self.backbone = backbone
        self.codebook_sizes = tuple(codebook_sizes)
        width = backbone.get_input_embeddings().weight.shape[1]
        self.control = nn.Embedding(NUM_CONTROLS + num_speakers + bool(num_speakers), width)
        # One entry more in each book: outside the utterance, in the first book the end of speech.
        self.speech = nn.ModuleList(nn.Embedding(size + 1, width) for size in self.codebook_sizes)
        self.heads = nn.ModuleList(
            nn.Linear(width, size + (book == 0), bias=False) for book, size in enumerate(self.codebook_sizes)
        )
        for module in (self.control, *self.speech, *self.heads):
            nn.init.normal_(module.weight, std=INITIAL_STD)

    @property
    def num_codebooks(self) -> int:
        """K."""
        return len(self.codebook_sizes)

    def embed(self, items: Tensor, kind: Tensor) -> Tensor:
        """Embed places: items [B, L, K], kind [B, L] -> [B, L, D]."""
        first = items[..., 0]
        text = self.embed_text(torch.where(kind == TEXT, first, 0))
        control = self.control(torch.where((kind == TEXT) | (kind == SPEECH), 0, first))
        speech = self.embed_codes(torch.where((kind == SPEECH)[..., None], items, 0))
        words = torch.where((kind == TEXT)[..., None], text, control)
        return torch.where((kind == SPEECH)[..., None], speech, words)

    def embed_text(self, ids: Tensor) -> Tensor:
        """Embed text ids [...] -> [..., D]."""
        embedded: Tensor = self.backbone.get_input_embeddings()(ids)
        return embedded

    def embed_codes(self, codes: Tensor) -> Tensor:
        """Embed speech positions [..., K] -> [..., D]: the sum over books."""
        embedded = [table(codes[..., book]) for book, table in enumerate(self.speech)]
        return torch.stack(embedded).sum(0)

    def hidden(
        self, embedded: Tensor, mask: Tensor | None = None, positions: Tensor | None = None, cache: Any = None
    ) -> Tensor:
        """Run the backbone over [B, L, D] -> [B, L, D].

        mask: bool [B, 1, L, keys], None for causal attention over right-padded rows; positions: [B, L]; cache: keys
        and values of earlier places, which this call extends.
        """
        states: Tensor = self.backbone.base_model(
            inputs_embeds=embedded,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=cache is not None,
        ).last_hidden_state
        return states

    def text_logits(self, hidden: Tensor) -> Tensor:
        """[..., D] -> [..., text ids]."""
        logits: Tensor = self.backbone.get_output_embeddings()(hidden)
        return logits

    def speech_logits(self, hidden: Tensor) -> list[Tensor]:
        """[..., D] -> for each book [..., codes], in the first one with the end of speech as the last entry."""
        return [head(hidden) for head in self.heads]

    def forward(self, batch: Batch) -> Nll:
        """Sum the negative log-likelihood of every predicted place, in float32."""
        before = self.hidden(self.embed(batch.items, batch.kind))[:, :-1]
        wanted, items = batch.predicted[:, 1:], batch.items[:, 1:]
        is_text, is_speech = wanted & (batch.kind[:, 1:] == TEXT), wanted & (batch.kind[:, 1:] == SPEECH)
        text = F.cross_entropy(
            self.text_logits(before[is_text]).float(), items[is_text][:, 0], reduction="sum", ignore_index=-1
        )
        codes = items[is_speech]
        sums, counts = [], []
        for book, logits in enumerate(self.speech_logits(before[is_speech])):
            # Where a later book has nothing yet, or no more, there is nothing to predict.
            target = codes[:, book].masked_fill(codes[:, book] >= logits.shape[-1], -1)
            sums.append(F.cross_entropy(logits.float(), target, reduction="sum", ignore_index=-1))
            counts.append((target >= 0).sum())
        return Nll(text, is_text.sum(), torch.stack(sums), torch.stack(counts))


def make_model(
    config: ModelConfig, codebook_sizes: Sequence[int], text_size: int, num_speakers: int, seed: int
) -> SpeechLM:
    """Make a model to be trained; new weights are drawn from ``seed``."""
    torch.manual_seed(seed)
    return SpeechLM(make_backbone(config, text_size), codebook_sizes, num_speakers)
