"""SpeechTokenizer by the authors' model class."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import torch

from codecbench import Batch, Codec, CodecSpec, Encoded, Tokens, Unavailable, Waveforms, single_stream
from codecbench.audio.framing import count_frames, fit_waveforms
from codecbench_speechtokenizer import CHECKPOINT, CODEBOOK_SIZE, CONFIG, FRAME_SAMPLES, NUM_CODEBOOKS, SAMPLE_RATE_HZ
from codecbench_speechtokenizer.upstream import model_class


def load_speechtokenizer(spec: CodecSpec, folder: Path, device: str) -> SpeechTokenizerCodec:
    """Load the checkpoint in ``folder``; raises Unavailable where it is not what ``spec`` declares."""
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    _check_config(config, folder / CONFIG)
    # Layers draw initial values before the checkpoint replaces them; the caller's seed must not notice.
    with torch.random.fork_rng(devices=[]):
        model = model_class()(config)
    try:
        model.load_state_dict(torch.load(folder / CHECKPOINT, map_location="cpu", weights_only=True))
    except pickle.UnpicklingError as error:
        raise Unavailable(f"{folder / CHECKPOINT} holds more than weights and is not loaded: {error}") from error
    except RuntimeError as error:
        raise Unavailable(f"{folder / CHECKPOINT} does not fit {CONFIG} beside it: {error}") from error
    return SpeechTokenizerCodec(spec, model.eval().requires_grad_(False).to(device))


def _check_config(config: dict[str, Any], path: Path) -> None:
    hop = 1
    for stride in config.get("strides", ()):
        hop *= stride
    found = {"sample_rate": config.get("sample_rate"), "n_q": config.get("n_q"), "hop": hop,
             "codebook_size": config.get("codebook_size")}  # fmt: skip
    wanted = {"sample_rate": SAMPLE_RATE_HZ, "n_q": NUM_CODEBOOKS, "hop": FRAME_SAMPLES, "codebook_size": CODEBOOK_SIZE}
    wrong = [f"{name} is {found[name]}, expected {value}" for name, value in wanted.items() if found[name] != value]
    if wrong:
        raise Unavailable(f"{path} does not fit the specification: {'; '.join(wrong)}")


class SpeechTokenizerCodec(Codec):
    """SpeechTokenizer, one utterance at a time.

    Its encoder ends in a bidirectional LSTM, so padding would reach every frame; each utterance is given to the
    model at its true length, and a partial frame is left to the model's own mirrored padding.
    """

    def __init__(self, spec: CodecSpec, model: Any) -> None:
        self.spec = spec
        self.model = model

    @torch.no_grad()
    def encode(self, batch: Batch) -> Encoded:
        """Return codes [B, 8, F]."""
        num_frames = count_frames(batch.num_samples, FRAME_SAMPLES)
        codes = batch.audio.new_zeros((len(batch), NUM_CODEBOOKS, int(num_frames.max())), dtype=torch.int64)
        for row, frames in enumerate(num_frames.tolist()):
            if frames:
                codes[row, :, :frames] = self.model.encode(batch.row(row)[None, None])[:, 0]
        stream = self.spec.streams[0]
        return single_stream(
            codes,
            num_frames=num_frames,
            num_samples=batch.num_samples,
            frame_rate_hz=stream.frame_rate_hz,
            codebook_sizes=stream.codebook_sizes,
        )

    @torch.no_grad()
    def decode(self, encoded: Encoded, mode: str = "full") -> Waveforms:
        """Return audio at 16 kHz from the first 1 to 8 codebooks."""
        assert isinstance(encoded, Tokens)
        codes = encoded.streams[0].codes
        audio = torch.zeros(len(codes), 1, codes.shape[-1] * FRAME_SAMPLES, device=codes.device)
        for row, frames in enumerate(encoded.streams[0].num_frames.tolist()):
            if frames:
                audio[row, :, : frames * FRAME_SAMPLES] = self.model.decode(codes[row, :, None, :frames])[0]
        return fit_waveforms(audio, encoded.num_samples, SAMPLE_RATE_HZ)

    def num_parameters(self) -> int:
        """Return the learned values, the codebooks' entries (moving averages) included."""
        books = sum(b.numel() for name, b in self.model.named_buffers() if name.endswith(".embed"))
        return books + sum(p.numel() for p in self.model.parameters())
