"""The decoder's end without predicted phases: what it makes of magnitudes that are those of real speech."""

from __future__ import annotations

import librosa
import numpy as np
import torch
from torch import Tensor

from codecbench_lmspt.flow import Flow
from codecbench_lmspt.framing import frame_signal
from codecbench_lmspt.inverse_stft import InverseStft

FFT, HOP = 640, 160


def head(iterations: int, period: int = 8) -> InverseStft:
    """A head whose log-magnitudes are its input."""
    made = InverseStft(FFT // 2 + 1, FFT, HOP, iterations, period).eval()
    with torch.no_grad():
        made.out.weight.copy_(torch.eye(FFT // 2 + 1))
        made.out.bias.zero_()
    return made


def magnitudes(audio: Tensor) -> Tensor:
    window = torch.hann_window(FFT, dtype=audio.dtype)
    return torch.fft.rfft(frame_signal(audio, FFT, HOP) * window, dim=-1).abs()


def convergence(made: Tensor, wanted: Tensor) -> float:
    return float((magnitudes(made) - wanted).norm() / wanted.norm())


def test_more_iterations_come_nearer_to_the_magnitudes(speech: Tensor) -> None:
    wanted = magnitudes(speech)
    x = (wanted + 1e-7).log().transpose(1, 2)
    with torch.no_grad():
        distances = [convergence(head(n)(x, Flow())[:, 0], wanted) for n in (1, 4, 16, 64)]
    assert distances == sorted(distances, reverse=True)
    assert distances[2] < 0.25
    # As near as librosa's algorithm on its own frames of the same speech.
    settings = {"n_fft": FFT, "hop_length": HOP, "window": "hann"}
    audio = speech[0].numpy()
    theirs = np.abs(librosa.stft(audio, **settings))
    rebuilt = librosa.griffinlim(theirs, n_iter=16, momentum=0.99, random_state=0, length=len(audio), **settings)
    distance = np.linalg.norm(np.abs(librosa.stft(rebuilt, **settings)) - theirs) / np.linalg.norm(theirs)
    assert distances[2] < 1.4 * distance  # the two starts differ: 0.108 and 0.089 were seen


def test_gradients_reach_the_magnitudes_and_no_phase(speech: Tensor) -> None:
    made = head(4)
    x = (magnitudes(speech) + 1e-7).log().transpose(1, 2).requires_grad_()
    flow = Flow()
    made(x, flow).square().sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    assert flow.log_magnitude is not None
    torch.testing.assert_close(flow.log_magnitude.detach(), x.detach().transpose(1, 2), rtol=1e-4, atol=1e-4)


def test_silence_is_silent() -> None:
    made = head(16)(torch.full((1, FFT // 2 + 1, 24), -40.0), Flow())
    assert made.abs().max() < 1e-12


def test_the_start_is_the_same_at_every_token_frame() -> None:
    # Magnitudes that repeat with the period make audio that repeats with it, far from the ends.
    generator = torch.Generator().manual_seed(0)
    one = torch.randn(1, FFT // 2 + 1, 8, generator=generator)
    with torch.no_grad():
        audio = head(2)(one.repeat(1, 1, 12), Flow())[0, 0]
    token = 8 * HOP
    torch.testing.assert_close(audio[4 * token : 5 * token], audio[6 * token : 7 * token], rtol=1e-3, atol=1e-4)
