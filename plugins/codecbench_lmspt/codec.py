"""LM-SPT as a codec of the suite."""

from __future__ import annotations

import torch
from torch import Tensor

from codecbench import (
    Batch,
    CapabilityError,
    Codec,
    CodecContext,
    CodecSpec,
    Encoded,
    Tokens,
    TokenStream,
    Unavailable,
    Waveforms,
)
from codecbench.audio.framing import blank_beyond, count_frames, fit_waveforms
from codecbench_lmspt.files import WeightsError
from codecbench_lmspt.model import LMSPT
from codecbench_lmspt.streaming import StreamingSession
from codecbench_lmspt.variants import DEFAULT_COMPILE, DEFAULT_DTYPE, weights_file

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def make_codec(spec: CodecSpec, context: CodecContext) -> Codec:
    """Load a variant with its options; raises Unavailable where its weights cannot be had or do not fit."""
    options = context.options
    try:
        model = LMSPT.from_pretrained(weights_file(spec, options), preset=spec.variant)
    except WeightsError as error:
        raise Unavailable(str(error)) from None
    model.to(context.device).for_inference(
        _DTYPES[options.get("dtype", DEFAULT_DTYPE)], options.get("compile", DEFAULT_COMPILE)
    )
    model.chunk_seconds = options.get("chunk-seconds", 30.0) or None
    return LMSPTCodec(spec, model)


class LMSPTCodec(Codec):
    """One LM-SPT model as a semantic and an acoustic token stream."""

    def __init__(self, spec: CodecSpec, model: LMSPT) -> None:
        self.spec = spec
        self.model = model

    def encode(self, batch: Batch) -> Encoded:
        """Return codes [B, 1, F] and [B, K - 1, F]; each row's are those of the row alone."""
        num_frames = count_frames(batch.num_samples, self.model.hop_samples)
        if batch.audio.shape[-1] == 0:
            codes = torch.zeros(len(batch), self.model.num_codebooks, 0, dtype=torch.int64, device=self.model.device)
        else:
            # An empty row in a batch is computed as one sample of silence; none of its frames is kept.
            codes = blank_beyond(self.model.encode(batch.audio, batch.num_samples.clamp_min(1)), num_frames)
        return self._tokens(codes, num_frames, batch.num_samples)

    def decode(self, encoded: Encoded, mode: str = "full") -> Waveforms:
        """Return audio at the mode's rate from the first books of both streams."""
        assert isinstance(encoded, Tokens)
        codes = torch.cat([stream.codes for stream in encoded.streams], dim=1)
        rate = self.spec.output_rate_hz(mode, self.model.sample_rate_hz)
        num_samples = -(-encoded.num_samples * rate // self.model.sample_rate_hz)
        if codes.shape[-1] == 0:
            return fit_waveforms(torch.zeros(len(codes), 1, 0, device=codes.device), num_samples, rate)
        return fit_waveforms(self._decode(codes, num_samples.clamp_min(1), mode), num_samples, rate)

    def _decode(self, codes: Tensor, num_samples: Tensor, mode: str) -> Tensor:
        if mode == "full":
            return self.model.decode(codes, num_samples)
        if mode == "acoustic" and codes.shape[1] == 1:
            raise CapabilityError(f"{self.spec.full_name}/acoustic needs at least 2 codebooks: the first is semantic")
        if mode == "acoustic":
            return self.model.decode_acoustic(codes, num_samples)
        return self.model.decode_semantic(codes, num_samples, aux=mode == "semantic-aux")

    def stream(self, batch_size: int = 1) -> CodecStream:
        """A session that returns the codes of every completed frame; causal variants only."""
        if not self.spec.streaming:
            raise CapabilityError(f"codec '{self.spec.full_name}' is not causal: it cannot stream")
        return CodecStream(self, self.model.stream(batch_size))

    def num_parameters(self) -> int:
        """Parameters that encode and decode need, the auxiliary decoder included."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    def _tokens(self, codes: Tensor, num_frames: Tensor, num_samples: Tensor) -> Tokens:
        streams, first = [], 0
        for stream in self.spec.streams:
            part = codes[:, first : first + len(stream.codebook_sizes)]
            streams.append(
                TokenStream(stream.name, part, num_frames, stream.frame_rate_hz, stream.codebook_sizes[: part.shape[1]])
            )
            first += part.shape[1]
        return Tokens(tuple(streams), num_samples)


class CodecStream:
    """Streaming encoding for the suite: samples in, tokens of the frames that they complete out."""

    def __init__(self, codec: LMSPTCodec, session: StreamingSession) -> None:
        self._codec, self._session = codec, session

    def push(self, audio: Tensor) -> Encoded:
        """Take audio [B, 1, T], any T, and return the codes that are complete so far (perhaps none)."""
        return self._wrap(self._session.encode(audio))

    def flush(self) -> Encoded:
        """Return the codes of the remaining samples, completed to a frame with zeros; the session starts anew."""
        left = self._session.pending_samples
        return self._wrap(self._session.flush(), left)

    def _wrap(self, codes: Tensor, num_samples: int | None = None) -> Tokens:
        rows, _, frames = codes.shape
        samples = frames * self._codec.model.hop_samples if num_samples is None else num_samples
        return self._codec._tokens(codes, torch.full((rows,), frames), torch.full((rows,), samples))
