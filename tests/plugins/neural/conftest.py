"""Checkpoints for the tests of neural codecs: written once for each session, small and random."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from codecbench import Batch


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def mimi_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small random Mimi."""
    from neural_checkpoints import write_mimi

    return write_mimi(tmp_path_factory.mktemp("mimi"))


@pytest.fixture(scope="session")
def encodec_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small random EnCodec."""
    from neural_checkpoints import write_encodec

    return write_encodec(tmp_path_factory.mktemp("encodec"))


@pytest.fixture(scope="session")
def dac_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder with a small random DAC for each variant."""
    from neural_checkpoints import DAC, write_dac

    return {variant: write_dac(tmp_path_factory.mktemp(f"dac_{variant}"), variant) for variant in DAC}


@pytest.fixture(scope="session")
def speechtokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small random SpeechTokenizer."""
    from neural_checkpoints import write_speechtokenizer

    return write_speechtokenizer(tmp_path_factory.mktemp("speechtokenizer"))


@pytest.fixture(scope="session")
def noise_batch() -> Callable[..., Batch]:
    """Make a right-padded batch of noise bursts: ``noise_batch(rate, lengths)``."""

    def make(sample_rate_hz: int, lengths: list[int], seed: int = 0) -> Batch:
        generator = torch.Generator().manual_seed(seed)
        audio = torch.zeros(len(lengths), 1, max(lengths))
        for row, length in enumerate(lengths):
            swell = 0.5 + 0.5 * torch.sin(torch.linspace(0, 9, length))
            audio[row, 0, :length] = 0.1 * swell * torch.randn(length, generator=generator)
        return Batch(audio, torch.tensor(lengths), sample_rate_hz)

    return make
