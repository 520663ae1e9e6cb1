"""A SpeechTokenizer-style model as a codec of the suite."""

from __future__ import annotations

import torch

from codecbench import Batch, Codec, CodecContext, CodecSpec, Encoded, Tokens, Unavailable, Waveforms, single_stream
from codecbench.audio.framing import count_frames, fit_waveforms
from codecbench_speechtokenizer_style import weights_file
from codecbench_speechtokenizer_style.model import SpeechTokenizerStyle, load


def make_codec(spec: CodecSpec, context: CodecContext) -> Codec:
    """Load a trained model; raises Unavailable where the file does not fit the variant."""
    path = weights_file(spec, context.options)
    # Layers draw initial values before the file replaces them; the caller's seed must not notice.
    with torch.random.fork_rng(devices=[]):
        try:
            model = load(path)
        except ValueError as error:
            raise Unavailable(str(error)) from None
    (stream,) = spec.streams
    if model.codebook_sizes != stream.codebook_sizes or model.size.frame_rate_hz != stream.frame_rate_hz:
        raise Unavailable(f"{path.name} holds a model with other tokens than {spec.full_name}")
    return StyleCodec(spec, model.eval().requires_grad_(False).to(context.device))


class StyleCodec(Codec):
    """One utterance at a time: the encoder's LSTM runs both ways, so padding would reach every frame."""

    def __init__(self, spec: CodecSpec, model: SpeechTokenizerStyle) -> None:
        self.spec, self.model = spec, model

    def encode(self, batch: Batch) -> Encoded:
        """Return codes [B, K, F]."""
        num_frames = count_frames(batch.num_samples, self.model.hop_samples)
        codes = torch.zeros(
            len(batch),
            len(self.model.codebook_sizes),
            int(num_frames.max()),
            dtype=torch.int64,
            device=batch.audio.device,
        )
        for row, (samples, frames) in enumerate(zip(batch.num_samples.tolist(), num_frames.tolist(), strict=True)):
            if frames:
                codes[row, :, :frames] = self.model.encode(batch.audio[row : row + 1, :, :samples])[0]
        (stream,) = self.spec.streams
        return single_stream(
            codes, num_frames=num_frames, num_samples=batch.num_samples, frame_rate_hz=stream.frame_rate_hz,
            codebook_sizes=stream.codebook_sizes,
        )  # fmt: skip

    def decode(self, encoded: Encoded, mode: str = "full") -> Waveforms:
        """Return audio at 16 kHz from the first books."""
        assert isinstance(encoded, Tokens)
        (stream,) = encoded.streams
        audio = torch.zeros(
            len(stream.codes), 1, stream.codes.shape[-1] * self.model.hop_samples, device=stream.codes.device
        )
        for row, frames in enumerate(stream.num_frames.tolist()):
            if frames:
                audio[row, :, : frames * self.model.hop_samples] = self.model.decode(
                    stream.codes[row : row + 1, :, :frames]
                )[0]
        return fit_waveforms(audio, encoded.num_samples, self.model.sample_rate_hz)

    def num_parameters(self) -> int:
        """Parameters that inference needs."""
        head = sum(p.numel() for p in self.model.distillation_head.parameters())
        return sum(p.numel() for p in self.model.parameters()) - head
