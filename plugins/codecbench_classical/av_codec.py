"""Codecs coded by FFmpeg, or encoded by a system library where its encoder is missing, as raw packets.

G.722 comes with its embedded lower rates.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from codecbench import CodecSpec
from codecbench.audio.pcm import fit_length, to_int16
from codecbench.bitstreams import BitstreamCodec, Payload, pack_packets, unpack_packets
from codecbench_classical.avcoding import decode_packets, encode_packets, has_codec, open_encoder
from codecbench_classical.formats import AvFormat
from codecbench_classical.system_encoders import SYSTEM_ENCODERS


class AvCodec(BitstreamCodec):
    """One encoder and one decoder of FFmpeg, both fresh for every utterance."""

    def __init__(self, spec: CodecSpec, family: AvFormat) -> None:
        self.spec, self.family = spec, family
        assert spec.bitrate_bps is not None
        self.bitrate_bps = round(spec.bitrate_bps)
        self.system = None if has_codec(family.encoder, "w") else SYSTEM_ENCODERS[family.encoder]
        # A constant of the setting, stated as ``setup_bytes``: AAC's configuration.
        self.extradata: bytes | None = None if self.system else self._encoder().extradata

    def _encoder(self) -> Any:
        family = self.family
        return open_encoder(family.encoder, family.sample_rate_hz, family.sample_format, self.bitrate_bps)

    def _packets(self, samples: np.ndarray) -> list[bytes]:
        """Code float32 [T], T a multiple of the frame, by FFmpeg's encoder or the system's."""
        frame_samples = self.family.frame_samples
        if self.system is None:
            return encode_packets(self._encoder(), samples, frame_samples)
        return self.system.encode(self.system.load(), to_int16(samples).reshape(-1, frame_samples), self.bitrate_bps)

    def encode_row(self, audio: np.ndarray) -> Payload:
        """Code as many frames as it takes for the last sample to come out of the decoder, and no more."""
        if len(audio) == 0:
            return Payload(b"", 0)
        family = self.family
        frames = -(-(len(audio) + family.delay_samples) // family.frame_samples)
        samples = fit_length(audio, frames * family.frame_samples)
        packets = self._packets(samples)[:frames]
        payload = pack_packets(packets)
        if not family.frame_bits:
            return payload
        bits = family.frame_bits[family.rates_bps.index(self.bitrate_bps)]
        return Payload(payload.data, bits * len(packets))

    def decode_row(self, data: bytes, num_samples: int) -> np.ndarray:
        """Decode all packets and take the delay off."""
        if num_samples == 0:
            return np.zeros(0, np.float32)
        family = self.family
        output = decode_packets(family.decoder, unpack_packets(data), family.sample_rate_hz, self.extradata)
        return output[family.delay_samples :][:num_samples]


class G722Codec(AvCodec):
    """G.722, whose 56 and 48 kbit/s modes leave out the last one or two bits of the low band's 6-bit code.

    Source: ITU-T G.722 (09/2012), section 1.4 and table 1; the encoder is the same in all three modes.
    """

    @property
    def dropped_bits(self) -> int:
        """Bits left out of every byte."""
        return 8 - self.bitrate_bps // 8000

    def encode_row(self, audio: np.ndarray) -> Payload:
        """Code one byte for two samples and keep its upper bits."""
        if len(audio) == 0:
            return Payload(b"", 0)
        codes = -(-(len(audio) + self.family.delay_samples) // 2)
        packets = encode_packets(self._encoder(), fit_length(audio, 2 * codes), 320)
        octets = np.frombuffer(b"".join(packets), np.uint8)
        kept = np.unpackbits(octets[:, None], axis=1)[:, : 8 - self.dropped_bits]
        return Payload(np.packbits(kept).tobytes(), kept.size)

    def decode_row(self, data: bytes, num_samples: int) -> np.ndarray:
        """Put the bytes together again and decode them with the quantiser of the mode."""
        if num_samples == 0:
            return np.zeros(0, np.float32)
        kept = 8 - self.dropped_bits
        bits = np.unpackbits(np.frombuffer(data, np.uint8))
        octets = np.packbits(bits[: len(bits) // kept * kept].reshape(-1, kept), axis=1).tobytes()
        options = {"bits_per_codeword": str(kept)}
        output = decode_packets("g722", [octets], self.family.sample_rate_hz, options=options)
        return output[self.family.delay_samples :][:num_samples]
