"""A plugin for tests of speech language models: a language of tones, a codec that keeps it exactly, its recogniser.

A letter is two frames of one level; frames of odd letters have a higher tone. The codec's first book is the level, its
second the tone, so that codes decode to the very audio that they were made of, and the recogniser reads letters back.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from codecbench import (
    Batch,
    Batching,
    Bitstream,
    Codec,
    CodecContext,
    CodecSpec,
    Encoded,
    RecognizerContext,
    RecognizerSpec,
    StreamSpec,
    Tokens,
    TokenStream,
    Transcript,
    Waveforms,
    hookimpl,
)

RATE_HZ, HOP, LEVELS, FRAMES_PER_LETTER = 16000, 320, 16, 2
LETTERS = " abcdefghijk"
TONES = (2, 5)  # cycles in a frame


def frame_audio(level: np.ndarray, tone: np.ndarray) -> np.ndarray:
    """Audio [F * HOP] of levels and tones [F]."""
    phase = np.arange(HOP) * 2 * np.pi / HOP
    waves = np.sin(np.asarray(TONES)[tone][:, None] * phase + np.pi / 4)
    return ((level + 1)[:, None] / (LEVELS + 1) * waves).reshape(-1).astype(np.float32)


def speak(text: str) -> np.ndarray:
    """Audio of a text."""
    level = np.repeat([LETTERS.index(letter) for letter in text], FRAMES_PER_LETTER)
    return frame_audio(level, level % 2)


def levels(audio: np.ndarray) -> np.ndarray:
    """Level of each whole frame."""
    frames = np.abs(audio[: len(audio) // HOP * HOP].reshape(-1, HOP)).max(1)
    return np.clip(np.round(frames * (LEVELS + 1)) - 1, 0, LEVELS - 1).astype(np.int64)


class ToneCodec(Codec):
    """Level and tone of each frame, in two streams."""

    def __init__(self, spec: CodecSpec, context: CodecContext) -> None:
        self.spec = spec

    def encode(self, batch: Batch) -> Encoded:
        frames = -(-batch.num_samples // HOP)
        audio = torch.nn.functional.pad(batch.audio[:, 0], (0, int(frames.max()) * HOP - batch.audio.shape[-1]))
        level = torch.stack([torch.from_numpy(levels(row.numpy())) for row in audio])
        semantic = TokenStream("semantic", level[:, None], frames, RATE_HZ / HOP, (LEVELS,))
        acoustic = TokenStream("acoustic", (level % 2)[:, None], frames, RATE_HZ / HOP, (len(TONES),))
        return Tokens((semantic, acoustic), batch.num_samples)

    def decode(self, encoded: Encoded, mode: str = "full") -> Waveforms:
        assert isinstance(encoded, Tokens)
        codes = torch.cat([stream.codes[0] for stream in encoded.streams]).numpy()
        tone = codes[1] if len(codes) > 1 else np.zeros_like(codes[0])
        audio = torch.from_numpy(frame_audio(codes[0], tone))[None, None]
        return Waveforms(audio[..., : int(encoded.num_samples[0])], encoded.num_samples, RATE_HZ)


class BytesCodec(Codec):
    """A codec without tokens."""

    def __init__(self, spec: CodecSpec, context: CodecContext) -> None:
        self.spec = spec

    def encode(self, batch: Batch) -> Encoded:
        return Bitstream(tuple(b"x" for _ in range(len(batch))), batch.num_samples)


class ToneRecognizer:
    """Reads letters off levels."""

    def transcribe(self, audio: np.ndarray, language: str | None) -> Transcript:
        found = levels(audio)[::FRAMES_PER_LETTER]
        return Transcript("".join(LETTERS[i] if i < len(LETTERS) else " " for i in found))


def _spec(name: str, **changes: Any) -> CodecSpec:
    return CodecSpec(name=name, sample_rate_hz=RATE_HZ, batching=Batching.SINGLE, licence_code="Apache-2.0", **changes)


@hookimpl
def register_codecs(register: Any) -> None:
    semantic = StreamSpec(RATE_HZ / HOP, (LEVELS,), "semantic")
    acoustic = StreamSpec(RATE_HZ / HOP, (len(TONES),), "acoustic")
    register(_spec("tones", streams=(semantic, acoustic), truncatable=True), ToneCodec)
    register(_spec("tones-bytes"), BytesCodec)


@hookimpl
def register_recognizers(register: Any) -> None:
    spec = RecognizerSpec("tone-ear", "reads the language of tones")
    register(spec, lambda spec, context: _make(context))


def _make(context: RecognizerContext) -> ToneRecognizer:
    return ToneRecognizer()


def write_corpus(folder: Path, count: int, seed: int = 0) -> Path:
    """Write ``count`` utterances of two or three short words, and their manifest."""
    import soundfile

    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(count):
        words = ["".join(random.choice(list(LETTERS[1:]), random.integers(2, 4))) for _ in range(random.integers(2, 4))]
        text = " ".join(words)
        soundfile.write(folder / f"{number}.flac", speak(text), RATE_HZ, subtype="PCM_24")
        rows.append({"id": f"u{number}", "audio": f"{number}.flac", "text": text, "speaker": f"s{number % 2}"})
    manifest = folder / "tones.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return manifest
