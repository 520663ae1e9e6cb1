"""A plugin for tests of faults: a codec that breaks its contract or its process on purpose, and who suffers from it."""

from __future__ import annotations

import os
import random
import time
from dataclasses import replace
from typing import Any

import fsspec
import numpy as np
import torch
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem

from codecbench import (
    Batch,
    Batching,
    Codec,
    CodecContext,
    CodecSpec,
    Encoded,
    OptionSpec,
    RecognizerSpec,
    StreamSpec,
    Tokens,
    Transcript,
    Waveforms,
    hookimpl,
    single_stream,
)

HOP = 160


class FaultyCodec(Codec):
    """Eight bits a sample, a frame of 160 samples each; ``fault`` says what goes wrong.

    Of utterances called ``culprit…`` alone: memory, hang. Of all: every other fault.
    """

    def __init__(self, spec: CodecSpec, context: CodecContext) -> None:
        self.spec, self.fault, self.log = spec, context.options["fault"], context.options["log"]
        self.rows = context.options["rows"]

    def encode(self, batch: Batch) -> Encoded:
        self._note(len(batch))
        if any("culprit" in u.id for u in batch.utterances):
            self._hurt()
        if self.fault == "rows" and len(batch) > self.rows:
            raise torch.OutOfMemoryError(f"CUDA out of memory: {len(batch)} rows")
        if self.fault == "state":
            self._meddle()
        frames = -(-batch.num_samples // HOP)
        padded = torch.nn.functional.pad(batch.audio[:, 0], (0, int(frames.max()) * HOP - batch.audio.shape[-1]))
        codes = ((padded.clamp(-1, 1) + 1) * 127).long().reshape(len(batch), -1, HOP).transpose(1, 2)
        inside = torch.arange(codes.shape[-1]) < frames[:, None]
        tokens = single_stream(
            codes * inside[:, None],
            num_frames=frames,
            num_samples=batch.num_samples,
            frame_rate_hz=100.0,
            codebook_sizes=(256,) * HOP,
        )
        return self._broken(tokens)

    def decode(self, encoded: Encoded, mode: str = "full") -> Waveforms:
        assert isinstance(encoded, Tokens)
        if self.fault == "rows" and len(encoded.num_samples) > self.rows:
            raise torch.OutOfMemoryError("CUDA out of memory")
        audio = (encoded.streams[0].codes.float() / 127 - 1).transpose(1, 2).reshape(len(encoded.num_samples), 1, -1)
        if self.fault == "draws":  # depends on everything that a neighbour may have left behind
            audio = audio + 1e-2 * torch.rand(audio.shape) + 1e-2 * random.random() + 1e-2 * np.random.random()
            audio = audio * float(torch.tensor(1 / 3).double()) * torch.get_num_threads()
        if self.fault == "stereo":
            audio = audio.expand(-1, 2, -1)
        if self.fault == "flat":
            audio = audio[:, 0]
        return Waveforms(audio[..., : int(encoded.num_samples.max())], encoded.num_samples, 16000)

    def _note(self, rows: int) -> None:
        if self.log:
            with open(self.log, "a") as file:
                file.write(f"{os.getpid()} {rows}\n")

    def _hurt(self) -> None:
        if self.fault == "hang":
            time.sleep(3600)
        hoard = []
        while self.fault == "memory":
            hoard.append(np.ones(4_000_000))
            time.sleep(0.01)

    def _meddle(self) -> None:
        torch.manual_seed(time.monotonic_ns())
        np.random.seed(time.monotonic_ns() % 2**32)
        random.seed(time.monotonic_ns())
        torch.set_default_dtype(torch.float64)
        torch.set_num_threads(2)
        torch.use_deterministic_algorithms(True)
        os.chdir("/")
        print("on standard output")
        os.write(1, b"past Python\n")

    def _broken(self, tokens: Tokens) -> Encoded:
        stream = tokens.streams[0]
        codes = stream.codes
        broken: dict[str, Any] = {
            "few": {"num_frames": torch.ones_like(stream.num_frames)},
            "many": {"num_frames": stream.num_frames + 1000},
            "books": {"codes": codes[:, :1]},
            "float": {"codes": codes.float()},
            "range": {"codes": codes + 200},
            "square": {"codes": codes[0]},
        }
        if self.fault == "nothing":
            return None  # type: ignore[return-value]
        if self.fault == "length":
            return replace(tokens, num_samples=tokens.num_samples - 1)
        return Tokens((replace(stream, **broken.get(self.fault, {})),), tokens.num_samples)


class Deaf:
    """Hears "word" in everything but quiet audio, which it cannot stand."""

    def transcribe(self, audio: np.ndarray, language: str | None) -> Transcript:
        if np.abs(audio).max() < 0.15:
            raise RuntimeError("too quiet to be recognised")
        return Transcript("word")


class FolderStore(DirFileSystem):
    """A place that is not local to codecbench and no object store: a folder behind fsspec, for several processes."""

    protocol = "testfolder"

    def __init__(self, **options: Any) -> None:
        super().__init__(path="/", fs=LocalFileSystem(), **options)

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path.removeprefix("testfolder://")


fsspec.register_implementation("testfolder", FolderStore, clobber=True)


@hookimpl
def register_codecs(register: Any) -> None:
    options = (
        OptionSpec("fault", "what goes wrong", default=""),
        OptionSpec("log", "file that notes process and rows of each batch", default="", affects="nothing"),
        OptionSpec("rows", "rows that memory suffices for", type="int", default=2, affects="nothing"),
    )
    facts: dict[str, Any] = {
        "sample_rate_hz": 16000,
        "streams": (StreamSpec(100.0, (256,) * HOP),),
        "batching": Batching.MASKED,
        "options": options,
        "licence_code": "Apache-2.0",
    }
    for name in ("faulty", "neighbour"):
        register(CodecSpec(name=name, **facts), FaultyCodec)


@hookimpl
def register_recognizers(register: Any) -> None:
    register(RecognizerSpec("deaf", "fails on quiet audio"), lambda spec, context: Deaf())
