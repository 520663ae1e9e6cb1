import torch

from codecbench import Batching, Codec, CodecSpec, StreamSpec, Waveforms, hookimpl, single_stream

HOP, SIZES = 320, (256,) * 16  # 50 frames a second at 16 kHz; each keeps its 16 lowest cosine terms, 8 bits each


class DctCodec(Codec):
    def __init__(self, spec, context):
        phase = torch.pi / HOP * (torch.arange(HOP) + 0.5)
        self.spec, self.basis = spec, torch.cos(phase * torch.arange(len(SIZES))[:, None]) * (2 / HOP) ** 0.5

    def encode(self, batch):
        frames = -(-batch.num_samples // HOP)
        padding = int(frames.max()) * HOP - batch.audio.shape[-1]
        audio = torch.nn.functional.pad(batch.audio[:, 0].nan_to_num(), (0, padding)).unflatten(-1, (-1, HOP))
        terms = (audio @ self.basis.T / 4).clamp(-1, 1)
        codes = (terms.sign() * terms.abs().sqrt() * 127).round().long().mT + 128
        return single_stream(
            codes, num_frames=frames, num_samples=batch.num_samples, frame_rate_hz=50, codebook_sizes=SIZES
        )

    def decode(self, encoded, mode="full"):
        terms = (encoded.streams[0].codes.mT - 128) / 127
        audio = ((terms.abs() * terms * 4) @ self.basis[: terms.shape[-1]]).flatten(1)[:, None]
        return Waveforms(audio[..., : int(encoded.num_samples.max())], encoded.num_samples, self.spec.sample_rate_hz)


@hookimpl
def register_codecs(register):
    about = {"description": "the sixteen lowest cosine terms of each frame", "licence_code": "Apache-2.0"}
    kinds = {"truncatable": True, "causal": True, "algorithmic_delay_samples": HOP, "batching": Batching.EQUAL_FRAMES}
    register(
        CodecSpec("example-dct", sample_rate_hz=16000, streams=(StreamSpec(50, SIZES),), **kinds, **about), DctCodec
    )
