"""Vorbis by libvorbis, which libsndfile brings: FFmpeg's own Vorbis encoder is experimental and stereo only."""

from __future__ import annotations

import io

import av
import numpy as np
import soundfile

from codecbench import CodecSpec
from codecbench.audio.pcm import fit_length, from_int16, to_int16
from codecbench.bitstreams import BitstreamCodec, Payload, pack_packets, unpack_packets
from codecbench_classical.av_specs import VORBIS_RATE_HZ
from codecbench_classical.avcoding import decode_packets

WRITE_SAMPLES = 1024


class VorbisCodec(BitstreamCodec):
    """Vorbis at one quality; the Ogg pages around its packets are taken off.

    Its codebooks stand in a setup header that is the same for every utterance at one quality, like the weights of a
    neural codec: it is stated as ``setup_bytes``, not spread over the utterances.
    """

    def __init__(self, spec: CodecSpec) -> None:
        self.spec = spec
        self.quality = float(spec.variant.removeprefix("q"))
        _, self.setup = self._packets(np.zeros(VORBIS_RATE_HZ, np.float32))

    def _packets(self, audio: np.ndarray) -> tuple[list[bytes], bytes]:
        """Return the audio packets and the setup header."""
        ogg = io.BytesIO()
        level = 1.0 - self.quality / 10.0
        form = {"format": "OGG", "subtype": "VORBIS", "compression_level": level}
        with soundfile.SoundFile(ogg, "w", VORBIS_RATE_HZ, 1, **form) as file:
            # Piece by piece: libvorbis extrapolates the start backwards from all that the first write brings.
            for start in range(0, len(audio), WRITE_SAMPLES):
                file.write(audio[start : start + WRITE_SAMPLES])
        ogg.seek(0)
        with av.open(ogg, "r") as container:
            stream = container.streams.audio[0]
            packets = [bytes(packet) for packet in container.demux(stream) if packet.size]
            return packets, stream.codec_context.extradata or b""

    def encode_row(self, audio: np.ndarray) -> Payload:
        """Code the utterance."""
        if len(audio) == 0:
            return Payload(b"", 0)
        return pack_packets(self._packets(from_int16(to_int16(audio)))[0])

    def decode_row(self, data: bytes, num_samples: int) -> np.ndarray:
        """Decode all packets; the first sample out is the first one in."""
        if num_samples == 0:
            return np.zeros(0, np.float32)
        output = decode_packets("vorbis", unpack_packets(data), VORBIS_RATE_HZ, self.setup)
        return fit_length(output, num_samples)
