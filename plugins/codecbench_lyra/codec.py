"""Lyra V2 frame by frame through LiteRT, as its own streaming coder runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from ai_edge_litert.interpreter import Interpreter

from codecbench import Batch, Codec, CodecSpec, Encoded, Tokens, Waveforms, single_stream
from codecbench.audio.pcm import fit_length, require_finite
from codecbench_lyra import CODEBOOK_SIZE, FRAME_SAMPLES, SAMPLE_RATE_HZ

MAX_QUANTIZERS = 46
UNUSED = -1  # what the decoder takes for a quantiser that was not sent


class Lyra(Codec):
    """The three networks of Lyra V2; the two with memory are made anew for every utterance.

    LiteRT's ``reset_all_variables`` leaves these networks' state as it is (2.3.0: the first 20 frames of a second
    utterance still hear the first one), and making one takes a few milliseconds.
    """

    def __init__(self, spec: CodecSpec, weights: Path) -> None:
        self.spec = spec
        self.encoder, self.decoder = (
            (weights / f"{name}.tflite").read_bytes() for name in ("soundstream_encoder", "lyragan")
        )
        self.quantizer = Interpreter(str(weights / "quantizer.tflite"), num_threads=1)

    def encode(self, batch: Batch) -> Tokens:
        """Return codes [B, K, F], one column for 20 ms."""
        rows = [self._codes(batch.row(index).cpu().numpy()) for index in range(len(batch))]
        num_frames = torch.tensor([row.shape[1] for row in rows])
        codes = torch.zeros(len(rows), self.spec.num_codebooks, int(num_frames.max()), dtype=torch.int64)
        for index, row in enumerate(rows):
            codes[index, :, : row.shape[1]] = torch.from_numpy(row)
        return single_stream(
            codes,
            num_frames=num_frames,
            num_samples=batch.num_samples,
            frame_rate_hz=SAMPLE_RATE_HZ / FRAME_SAMPLES,
            codebook_sizes=(CODEBOOK_SIZE,) * self.spec.num_codebooks,
        )

    def decode(self, encoded: Encoded, mode: str = "full") -> Waveforms:
        """Return audio from any number of the first codebooks."""
        assert isinstance(encoded, Tokens)
        stream = encoded.streams[0]
        rows = []
        for index in range(stream.codes.shape[0]):
            codes = stream.codes[index, :, : int(stream.num_frames[index])].cpu().numpy()
            rows.append(self._audio(codes)[: int(encoded.num_samples[index])])
        return Waveforms.stack(rows, SAMPLE_RATE_HZ)

    def _codes(self, audio: np.ndarray) -> np.ndarray:
        """Code float32 [T] as int64 [K, F]."""
        require_finite(audio)
        num_frames = -(-len(audio) // FRAME_SAMPLES)
        frames = fit_length(audio, num_frames * FRAME_SAMPLES).reshape(num_frames, 1, FRAME_SAMPLES)
        run, quantize = _fresh(self.encoder), self.quantizer.get_signature_runner("encode")
        wanted = np.array(self.spec.num_codebooks, np.int32)
        codes = np.zeros((self.spec.num_codebooks, num_frames), np.int64)
        for index, frame in enumerate(frames):
            latent = run(input_audio=frame)["output_0"]
            quantized = quantize(input_frames=latent, num_quantizers=wanted)
            codes[:, index] = quantized["output_0"][: self.spec.num_codebooks, 0, 0]
        return codes

    def _audio(self, codes: np.ndarray) -> np.ndarray:
        """Decode int64 [K, F] to float32 [F * 320]."""
        run, dequantize = _fresh(self.decoder), self.quantizer.get_signature_runner("decode")
        indices = np.full((MAX_QUANTIZERS, 1, 1), UNUSED, np.int32)
        blocks = [np.zeros(0, np.float32)]
        for frame in codes.T:
            indices[: len(frame), 0, 0] = frame
            latent = dequantize(encoding_indices=indices)["output_0"]
            blocks.append(run(input_audio=latent)["output_0"][0].copy())
        return np.concatenate(blocks)


def _fresh(network: bytes) -> Any:
    """Return a runner of the network with no memory of past frames."""
    return Interpreter(model_content=network, num_threads=1).get_signature_runner()
