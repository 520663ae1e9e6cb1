"""What of a codec's tokens a language model reads and writes: codes [K, F] at one frame rate, and back."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from codecbench.contracts.codec import CodecSpec
from codecbench.contracts.encoded import Encoded, Tokens, TokenStream
from codecbench.errors import Unavailable

FILE_NAME = "speech.json"


@dataclass(frozen=True)
class SpeechFormat:
    """The streams of one codec name, put together in their order: the semantic stream first, where there is one.

    stream_books: codebooks of each stream. sample_rate_hz: the rate in which ``num_samples`` of the tokens count.
    """

    codec: str
    stream_names: tuple[str, ...]
    stream_books: tuple[int, ...]
    codebook_sizes: tuple[int, ...]
    frame_rate_hz: float
    sample_rate_hz: int

    @property
    def num_codebooks(self) -> int:
        """K."""
        return len(self.codebook_sizes)

    @classmethod
    def of(cls, label: str, spec: CodecSpec, encoded: Encoded | None) -> SpeechFormat:
        """Read the format off one encoded utterance; raises Unavailable where it has no tokens that can be modelled."""
        if not isinstance(encoded, Tokens):
            raise _unusable(label, "it gives a bit stream or nothing coded, and no tokens that a model could predict")
        rates = {stream.frame_rate_hz for stream in encoded.streams}
        if len(rates) != 1 or min(rates) <= 0:
            shown = ", ".join(f"{s.name} {s.frame_rate_hz:g} Hz" for s in encoded.streams)
            raise _unusable(label, f"its streams do not share one frame rate ({shown})")
        if any(s.durations is not None or s.side_info_bits is not None for s in encoded.streams):
            raise _unusable(label, "it sends durations or side information beside its codes")
        if spec.sample_rate_hz is None:
            raise _unusable(label, "it declares no sample rate")
        return cls(
            label,
            tuple(stream.name for stream in encoded.streams),
            tuple(stream.num_codebooks for stream in encoded.streams),
            tuple(size for stream in encoded.streams for size in stream.codebook_sizes),
            min(rates),
            spec.sample_rate_hz,
        )

    def codes(self, encoded: Encoded) -> np.ndarray:
        """Return the codes [K, F] of one utterance (B = 1); raises Unavailable where it is of another format."""
        if not isinstance(encoded, Tokens) or len({int(s.num_frames[0]) for s in encoded.streams}) != 1:
            raise _unusable(self.codec, "its streams differ in length")
        codes = torch.cat([stream.codes[0] for stream in encoded.streams]).numpy().astype(np.int64)
        if codes.shape[0] != self.num_codebooks:
            raise _unusable(self.codec, f"an utterance has {codes.shape[0]} codebooks, others {self.num_codebooks}")
        return codes

    def tokens(self, codes: np.ndarray) -> Tokens:
        """Turn codes [K, F] into what the codec decodes (B = 1); as many samples as the frames last."""
        frames = codes.shape[1]
        streams, first = [], 0
        for name, books in zip(self.stream_names, self.stream_books, strict=True):
            part = torch.from_numpy(np.ascontiguousarray(codes[first : first + books]))[None]
            sizes = self.codebook_sizes[first : first + books]
            streams.append(TokenStream(name, part, torch.tensor([frames]), self.frame_rate_hz, sizes))
            first += books
        samples = round(frames * self.sample_rate_hz / self.frame_rate_hz)
        return Tokens(tuple(streams), torch.tensor([samples]))

    def frames(self, seconds: float) -> int:
        """Frames that ``seconds`` of audio take."""
        return int(np.ceil(seconds * self.frame_rate_hz))

    def save(self, folder: Path) -> None:
        """Write ``speech.json``."""
        (folder / FILE_NAME).write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> SpeechFormat:
        """Read what ``save`` wrote."""
        facts: dict[str, Any] = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
        facts |= {name: tuple(value) for name, value in facts.items() if isinstance(value, list)}
        return cls(**facts)


def _unusable(codec: str, reason: str) -> Unavailable:
    return Unavailable(
        f"codec '{codec}' cannot be the tokens of a speech language model: {reason}",
        "choose a codec with tokens at one frame rate; name@K keeps the first K codebooks",
    )
