"""Byte-pair encoding of codes: how far merging frequent runs shortens the sequence."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

# Codes become characters of the supplementary planes: no tokenizer has an opinion on those.
FIRST_CHARACTER = 0x10000
LAST_CHARACTER = 0x10FFFF
MOST_CODES = LAST_CHARACTER - FIRST_CHARACTER + 1


def as_text(codes: Iterable[int]) -> str:
    """Return codes as a string with one character for each."""
    return "".join(chr(FIRST_CHARACTER + int(code)) for code in codes)


@dataclass(frozen=True)
class MergeList:
    """Merges in the order in which they were learnt, each of two strings."""

    num_codes: int
    merges: tuple[tuple[str, str], ...]

    def encoder(self, num_merges: int) -> Any:
        """Return a tokenizer that applies the first ``num_merges``."""
        from tokenizers import Tokenizer, models

        kept = self.merges[:num_merges]
        pieces = [*as_text(range(self.num_codes)), *("".join(merge) for merge in kept)]
        vocabulary = {piece: index for index, piece in enumerate(dict.fromkeys(pieces))}
        return Tokenizer(models.BPE(vocab=vocabulary, merges=list(kept)))

    def lengths(self, texts: Sequence[str], num_merges: int) -> np.ndarray:
        """Return the number of tokens of each of ``texts`` after the first ``num_merges``; int64 [texts]."""
        encoded = self.encoder(num_merges).encode_batch(list(texts), add_special_tokens=False)
        return np.array([len(e.ids) for e in encoded], np.int64)


def learn(texts: Sequence[str], num_codes: int, num_merges: int) -> MergeList:
    """Learn at most ``num_merges`` from ``texts``, one sequence each; a pair seen once is not merged.

    Source: Sennrich, Haddow & Birch, "Neural machine translation of rare words with subword units", ACL 2016, by
    ``tokenizers``; on codes of speech: Shen et al., "Acoustic BPE for speech generation with discrete tokens", 2024.
    """
    from tokenizers import Tokenizer, models, trainers

    tokenizer = Tokenizer(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=num_codes + num_merges,
        min_frequency=2,
        initial_alphabet=list(as_text(range(num_codes))),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    found = json.loads(tokenizer.to_str())["model"]["merges"]
    return MergeList(num_codes, tuple((left, right) for left, right in found))
