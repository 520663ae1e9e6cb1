"""Physical properties of encode and decode, in float64 so that equal means equal."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from conftest import SMALL_PAPER, model_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lmspt_made_up import SMALL_RELEASE
from torch import Tensor

from codecbench_lmspt import LMSPT
from codecbench_lmspt.chunks import plan

TOLERANCE = 1e-10
# Iterations of Griffin and Lim multiply a difference in the last bit by some thousands.
PHASES = {"decoder.phase_iterations": 5, "aux_decoder.phase_iterations": 3}
ARCHITECTURES = {
    "tiny": ("tiny", None), "paper": ("paper-12.5hz", SMALL_PAPER), "release": ("release", SMALL_RELEASE),
    "phases": ("tiny", PHASES),
}  # fmt: skip


@pytest.fixture(scope="module", params=ARCHITECTURES)
def model(request: pytest.FixtureRequest) -> LMSPT:
    return model_of(*ARCHITECTURES[request.param])


def noise(rows: int, samples: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.2 * torch.randn(rows, 1, samples, generator=generator, dtype=torch.float64)


def decodes(model: LMSPT, codes: Tensor, num_samples: Tensor | None = None) -> dict[str, Tensor]:
    aux = num_samples
    if num_samples is not None:
        aux = -(-num_samples * model.aux_sample_rate_hz // model.sample_rate_hz)
    return {
        "full": model.decode(codes, num_samples),
        "two books": model.decode(codes[:, :2], num_samples),
        "semantic": model.decode_semantic(codes, num_samples, aux=False),
        "semantic-aux": model.decode_semantic(codes, aux),
        "acoustic": model.decode_acoustic(codes, num_samples),
    }


def test_a_batch_equals_its_rows_alone(model: LMSPT) -> None:
    hop = model.hop_samples
    lengths = torch.tensor([9 * hop - 3, 4 * hop, 7 * hop + 1, 1])
    audio = noise(4, int(lengths.max()))
    codes = model.encode(audio, lengths)
    together = decodes(model, codes, lengths)
    for row, samples in enumerate(lengths.tolist()):
        alone = model.encode(audio[row : row + 1, :, :samples])
        assert torch.equal(codes[row : row + 1, :, : alone.shape[-1]], alone)
        assert not codes[row, :, alone.shape[-1] :].any()
        for mode, wave in decodes(model, alone, torch.tensor([samples])).items():
            length = wave.shape[-1]
            assert (together[mode][row, :, :length] - wave[0]).abs().max() < TOLERANCE, mode
            assert not together[mode][row, :, length:].any(), mode


def test_chunks_equal_the_whole(model: LMSPT) -> None:
    audio = noise(2, 150 * model.hop_samples + 11)
    lengths = torch.tensor([audio.shape[-1], 61 * model.hop_samples])
    model.chunk_seconds = None
    codes, whole = model.encode(audio, lengths), decodes(model, model.encode(audio, lengths), lengths)
    try:
        model.chunk_seconds = 13 / model.frame_rate_hz
        assert torch.equal(model.encode(audio, lengths), codes)
        for mode, wave in decodes(model, codes, lengths).items():
            assert (wave - whole[mode]).abs().max() < TOLERANCE, mode
    finally:
        model.chunk_seconds = 30.0


def test_the_receptive_field_is_what_chunks_rely_on(model: LMSPT) -> None:
    hop, frames = model.hop_samples, 120
    if model.semantic_encoder.context_samples > 50 * hop:
        frames = 240
    audio, middle = noise(1, frames * hop), frames // 2
    changed = audio.clone()
    changed[..., middle * hop] += 1.0
    before, _ = model.latents(audio, None)
    after, _ = model.latents(changed, None)
    moved = ((after - before).abs().amax(1)[0] > TOLERANCE).nonzero()[:, 0]
    assert len(moved) > 0
    assert (moved - middle).abs().max() <= -(-model.semantic_encoder.context_samples // hop)


def test_chunk_plans_cover_every_frame_once() -> None:
    kept = [frame for chunk in plan(1003, 50, 7) for frame in range(chunk.keep_from, chunk.keep_to)]
    assert kept == list(range(1003))
    assert all(c.start <= max(0, c.keep_from - 7) and c.stop >= min(1003, c.keep_to + 7) for c in plan(1003, 50, 7))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(samples=st.integers(1, 9000))
def test_any_length_comes_back_exactly(tiny: LMSPT, samples: int) -> None:
    codes = tiny.encode(noise(1, samples))
    assert codes.shape == (1, 4, -(-samples // tiny.hop_samples))
    lengths = torch.tensor([samples])
    assert tiny.decode(codes, lengths).shape == (1, 1, samples)
    assert tiny.decode(codes).shape == (1, 1, codes.shape[-1] * tiny.hop_samples)
    for book, size in enumerate(tiny.codebook_sizes):
        assert 0 <= int(codes[:, book].min()) <= int(codes[:, book].max()) < size


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays_close(dtype: torch.dtype) -> None:
    audio = noise(1, 16_000).float()
    exact, half = model_of("tiny").float(), model_of("tiny").float().for_inference(dtype)
    codes = exact.encode(audio)
    assert (half.encode(audio) == codes).float().mean() > 0.5
    wave, approximate = exact.decode(codes), half.decode(codes)
    assert approximate.dtype == torch.float32
    assert (approximate - wave).norm() < 0.1 * wave.norm()


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("dtype", "equal_codes", "error"),
    [(torch.float32, 0.999, 1e-3), (torch.bfloat16, 0.5, 0.1), (torch.float16, 0.8, 0.02)],
)
def test_the_gpu_does_what_the_cpu_does(dtype: torch.dtype, equal_codes: float, error: float) -> None:
    audio = noise(2, 20_000).float()
    lengths = torch.tensor([20_000, 13_000])
    exact = model_of("tiny").float().for_inference()
    there = model_of("tiny").float().cuda().for_inference(dtype)
    codes, found = exact.encode(audio, lengths), there.encode(audio.cuda(), lengths.cuda())
    assert found.device.type == "cuda"
    assert (found.cpu() == codes).float().mean() >= equal_codes
    wave, approximate = exact.decode(codes, lengths), there.decode(codes.cuda(), lengths.cuda()).cpu()
    assert approximate.dtype == torch.float32
    assert (approximate - wave).norm() < error * wave.norm()


@pytest.mark.gpu
@pytest.mark.parametrize("mode", ["none", "compile", "cudagraphs"])
def test_chunks_on_the_gpu_equal_the_whole(mode: str) -> None:
    audio = noise(2, 200_000).float()
    model = model_of("tiny").float().cuda().for_inference()
    model.chunk_seconds = None
    codes = model.encode(audio)
    wave = model.decode(codes)
    chunked = model_of("tiny").float().cuda().for_inference(compile_mode=mode)
    chunked.chunk_seconds = 2.0
    assert (chunked.encode(audio) == codes).float().mean() > 0.999
    torch.testing.assert_close(chunked.decode(codes), wave, rtol=1e-3, atol=1e-4)


def test_traced_graphs_are_whole_and_equal() -> None:
    """torch.compile without its code generation: no graph breaks in encoders and decoders, equal results."""
    audio = noise(2, 20_000)
    plain, traced = model_of("tiny").for_inference(), model_of("tiny").for_inference()
    for part in traced.compilable_parts():
        part.compile(backend="aot_eager", fullgraph=True)
    codes = plain.encode(audio)
    assert torch.equal(traced.encode(audio), codes)
    assert (traced.decode(codes) - plain.decode(codes)).abs().max() < TOLERANCE
    assert (traced.decode_semantic(codes) - plain.decode_semantic(codes)).abs().max() < TOLERANCE


@pytest.mark.gpu
@pytest.mark.parametrize("mode", ["compile", "cudagraphs"])
def test_compiled_equals_eager(mode: str) -> None:
    audio = noise(2, 20_000).float().cuda()
    eager, compiled = (model_of("tiny").float().cuda() for _ in range(2))
    codes = eager.encode(audio)
    compiled.for_inference(compile_mode=mode)
    for _ in range(3):  # warm-up and capture, then replay
        assert (compiled.encode(audio) == codes).float().mean() > 0.99
        torch.testing.assert_close(compiled.decode(codes), eager.decode(codes), rtol=1e-3, atol=1e-4)


def test_unknown_compile_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="none, compile, cudagraphs"):
        model_of("tiny").for_inference(compile_mode="fast")


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (torch.zeros(16_000), r"\[B, 1, T\]"),
        (torch.zeros(1, 2, 16_000), r"\[B, 1, T\]"),
        (torch.zeros(1, 1, 0), "empty"),
        (torch.zeros(1, 1, 100, dtype=torch.int16), "floating point"),
        (torch.tensor([[[0.0, float("nan")]]]), "row 0 has values that are not finite"),
        (torch.tensor([[[0.0]], [[float("inf")]]]), "row 1"),
    ],
)
def test_bad_audio_is_refused(tiny: LMSPT, audio: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny.encode(audio)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (torch.zeros(4, 10, dtype=torch.long), r"\[B, K, F\]"),
        (torch.zeros(1, 4, 10), "integers"),
        (torch.zeros(1, 5, 10, dtype=torch.long), "1..4 books"),
        (torch.zeros(1, 4, 0, dtype=torch.long), "F >= 1"),
        (torch.tensor([[[0, 32]]]), r"book 0 must lie in 0..31, found 0..32"),
        (torch.tensor([[[0, 0], [0, -1]]]), r"book 1 must lie in 0..15, found -1..0"),
    ],
)
def test_bad_codes_are_refused(tiny: LMSPT, codes: Tensor, message: str) -> None:
    for decode in (tiny.decode, tiny.decode_semantic, tiny.decode_acoustic):
        with pytest.raises(ValueError, match=message):
            decode(codes)


def test_bad_lengths_and_counts_are_refused(tiny: LMSPT) -> None:
    audio = noise(2, 4000)
    with pytest.raises(ValueError, match=r"1..4000"):
        tiny.encode(audio, torch.tensor([0, 4000]))
    with pytest.raises(ValueError, match=r"\[2\]"):
        tiny.encode(audio, torch.tensor([4000]))
    with pytest.raises(ValueError, match=r"1..4, not 5"):
        tiny.encode(audio, num_codebooks=5)
    with pytest.raises(ValueError, match="at least one acoustic"):
        tiny.decode_acoustic(tiny.encode(audio, num_codebooks=1))
    with pytest.raises(ValueError, match="not causal"):
        tiny.stream()


_LONG_AUDIO = """
import resource, torch
from codecbench_lmspt import LMSPT, load_preset
torch.set_num_threads(1)
torch.manual_seed(0)
model = LMSPT(load_preset("tiny")).for_inference()
for minutes in (3, 12):
    audio = torch.randn(1, 1, minutes * 60 * model.sample_rate_hz).mul_(0.1)
    decoded = model.decode(model.encode(audio))
    print(audio.nbytes + decoded.nbytes, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    del audio, decoded
"""


def test_memory_grows_by_the_audio_alone() -> None:
    """Four times as much audio: the highest memory grows by the input and the output, not by copies or activations."""
    done = subprocess.run([sys.executable, "-c", _LONG_AUDIO], capture_output=True, text=True, check=True)
    (short, peak), (long, later_peak) = (map(int, line.split()) for line in done.stdout.splitlines())
    assert later_peak - peak < long - short + 24e6
