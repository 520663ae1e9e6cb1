"""Opus: packets of 20 ms from libopus, the look-ahead taken off again exactly."""

from __future__ import annotations

import numpy as np

from codecbench import CodecSpec
from codecbench.audio.pcm import fit_length, from_int16, to_int16
from codecbench.bitstreams import BitstreamCodec, Payload, pack_packets, unpack_packets
from codecbench_classical.libopus import LibOpus, OpusDecoder, OpusEncoder
from codecbench_classical.opus_specs import FRAME_SAMPLES, SAMPLE_RATE_HZ


class OpusCodec(BitstreamCodec):
    """libopus with a fresh encoder and decoder for every utterance."""

    def __init__(self, spec: CodecSpec, *, constant_bitrate: bool) -> None:
        self.spec = spec
        self.constant_bitrate = constant_bitrate
        self.lib = LibOpus()
        with self._encoder() as encoder:
            self.lookahead_samples = encoder.lookahead_samples

    def _encoder(self) -> OpusEncoder:
        assert self.spec.bitrate_bps is not None
        wideband = self.spec.variant.endswith("-wb")
        rate_bps = round(self.spec.bitrate_bps)
        return OpusEncoder(
            self.lib, SAMPLE_RATE_HZ, rate_bps, wideband=wideband, constant_bitrate=self.constant_bitrate
        )

    def encode_row(self, audio: np.ndarray) -> Payload:
        """Code as many frames as it takes for the last sample to come out of the decoder."""
        if len(audio) == 0:
            return Payload(b"", 0)
        frames = -(-(len(audio) + self.lookahead_samples) // FRAME_SAMPLES)
        samples = fit_length(from_int16(to_int16(audio)), frames * FRAME_SAMPLES)
        with self._encoder() as encoder:
            return pack_packets(encoder.encode(frame) for frame in samples.reshape(frames, FRAME_SAMPLES))

    def decode_row(self, data: bytes, num_samples: int) -> np.ndarray:
        """Decode all packets and drop the look-ahead."""
        if num_samples == 0:
            return np.zeros(0, np.float32)
        with OpusDecoder(self.lib, SAMPLE_RATE_HZ, FRAME_SAMPLES) as decoder:
            output = np.concatenate([decoder.decode(packet) for packet in unpack_packets(data)])
        return output[self.lookahead_samples :][:num_samples]
