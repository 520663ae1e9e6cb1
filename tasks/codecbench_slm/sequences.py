"""Utterances as sequences of a decoder-only language model.

    speech-to-text   <stt> <speech> positions … end   <text> ids … <eos>
    text-to-speech   <tts> [speaker] <text> ids …     <speech> positions … end

Speech positions follow the delay pattern (``delay.py``). Only the second half is predicted: from its marker on, each
place predicts the next one. Which half a place belongs to is known from the layout, so that text is predicted among
text ids only and speech among codes only, in training as in generation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from codecbench.hashing import digest
from codecbench_slm.delay import delayed

Task = Literal["stt", "tts"]

# Kinds of places.
CONTROL, TEXT, SPEECH = 0, 1, 2
# Control ids; speakers come after them, the first one standing for all that are not known.
STT, TTS, TEXT_MARK, SPEECH_MARK, NUM_CONTROLS = 0, 1, 2, 3, 4


@dataclass(frozen=True)
class Example:
    """One utterance: text ids [T], codes [K, F], control id of its speaker (None: not told), seconds of audio."""

    id: str
    text: np.ndarray
    codes: np.ndarray
    duration_s: float
    speaker: int | None = None

    @property
    def digest(self) -> str:
        """Changes with its id, text, codes or speaker."""
        contents = self.text.tobytes() + self.codes.tobytes()
        return digest([self.id, hashlib.sha256(contents).hexdigest(), self.codes.shape, self.speaker])


@dataclass(frozen=True)
class Places:
    """A stretch of places: items [L, K] (control and text ids in the first column), kind [L], predicted [L].

    ``predicted[i]``: place i counts in the loss, as what place i - 1 should give.
    """

    items: np.ndarray
    kind: np.ndarray
    predicted: np.ndarray

    def __len__(self) -> int:
        return len(self.kind)


@dataclass(frozen=True)
class Batch:
    """Right-padded sequences: items int64 [B, L, K], kind [B, L], predicted bool [B, L]; ``audio_s`` over all rows."""

    items: Tensor
    kind: Tensor
    predicted: Tensor
    audio_s: float

    def to(self, device: torch.device) -> Batch:
        """The batch on ``device``."""
        return Batch(self.items.to(device), self.kind.to(device), self.predicted.to(device), self.audio_s)


@dataclass(frozen=True)
class Layout:
    """Builds sequences for one codec and tokenizer."""

    codebook_sizes: tuple[int, ...]
    eos_id: int

    def sequence(self, example: Example, task: Task) -> Places:
        """The whole sequence of one utterance."""
        text, speech = self._text(example, task == "stt"), self._speech(example.codes, task == "tts")
        return _joined([self.prompt(example, task), text if task == "stt" else speech])

    def prompt(self, example: Example, task: Task) -> Places:
        """What is given: everything up to the marker of the half that is to be predicted."""
        if task == "stt":
            parts = [self._marks(STT, SPEECH_MARK), self._speech(example.codes, False), self._marks(TEXT_MARK)]
        else:
            speaker = [] if example.speaker is None else [example.speaker]
            text = self._text(example, False)
            parts = [self._marks(TTS, *speaker, TEXT_MARK), text, self._marks(SPEECH_MARK)]
        return _joined(parts)

    def _marks(self, *ids: int) -> Places:
        return self._ids(np.asarray(ids, np.int64), CONTROL, False)

    def _text(self, example: Example, predicted: bool) -> Places:
        ids = np.append(example.text, self.eos_id) if predicted else example.text
        return self._ids(ids, TEXT, predicted)

    def _ids(self, ids: np.ndarray, kind: int, predicted: bool) -> Places:
        items = np.zeros((len(ids), len(self.codebook_sizes)), np.int64)
        items[:, 0] = ids
        return _places(items, kind, predicted)

    def _speech(self, codes: np.ndarray, predicted: bool) -> Places:
        return _places(delayed(codes, self.codebook_sizes), SPEECH, predicted)


def _places(items: np.ndarray, kind: int, predicted: bool) -> Places:
    return Places(items, np.full(len(items), kind, np.int64), np.full(len(items), predicted))


def _joined(parts: Sequence[Places]) -> Places:
    return Places(
        np.concatenate([part.items for part in parts]),
        np.concatenate([part.kind for part in parts]),
        np.concatenate([part.predicted for part in parts]),
    )


def collate(sequences: Sequence[Places], audio_s: float = 0.0, *, left: bool = False) -> Batch:
    """Pad sequences into one batch, at their ends, or (``left``, for prompts) at their beginnings."""
    longest, books = max(len(s) for s in sequences), sequences[0].items.shape[1]
    items = np.zeros((len(sequences), longest, books), np.int64)
    kind = np.full((len(sequences), longest), CONTROL, np.int64)
    predicted = np.zeros((len(sequences), longest), bool)
    for row, sequence in enumerate(sequences):
        place = slice(longest - len(sequence), longest) if left else slice(0, len(sequence))
        items[row, place], kind[row, place] = sequence.items, sequence.kind
        predicted[row, place] = sequence.predicted
    return Batch(torch.from_numpy(items), torch.from_numpy(kind), torch.from_numpy(predicted), audio_s)
