"""Small training runs for tests: a random Whisper teacher, a few seconds of speech, the ``tiny`` preset."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from codecbench_train.cli import resolve
from codecbench_train.config import TrainConfig

CORPUS = Path(__file__).parents[3] / "plugins" / "codecbench_corpora" / "data" / "builtin" / "manifest.jsonl"


def random_teacher(folder: Path) -> Path:
    """A Whisper of a few thousand random weights in transformers' layout."""
    import torch
    import transformers

    torch.manual_seed(0)
    config = transformers.WhisperConfig(
        d_model=32, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=64, decoder_layers=1,
        decoder_attention_heads=2, decoder_ffn_dim=32, vocab_size=100, num_mel_bins=80,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=3, suppress_tokens=None,
    )  # fmt: skip
    transformers.WhisperModel(config).save_pretrained(folder)
    return folder


def settings(teacher: Path, *more: str) -> list[str]:
    """Settings of a run that is fast and still has every loss on."""
    return [
        f"teacher.source={teacher}",
        "log.tensorboard=false",
        "data.segment_s=0.64",
        "data.dev_segment_s=0.64",
        *more,
    ]


def config(teacher: Path, *more: str, model: str = "lmspt") -> TrainConfig:
    """The resolved configuration of such a run."""
    return resolve(model, "tiny", [str(CORPUS)], [], settings(teacher, *more), None)


def command(out: Path, teacher: Path, *more: str, resume: bool = False) -> list[str]:
    """The command line of such a run, as ``codecbench train`` would be called."""
    call = [sys.executable, "-c", "from codecbench_train.cli import train; train()", "--out", str(out)]
    if resume:
        return [*call, "--resume"]
    call += ["lmspt", "--preset", "tiny", "--data", str(CORPUS)]
    return call + [part for setting in settings(teacher, *more) for part in ("--set", setting)]


def environment(**more: str) -> dict[str, str]:
    """One thread, no hub."""
    return os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": os.pathsep.join(sys.path)} | more


def run(call: list[str], **more: str) -> str:
    """Run to the end and return what was printed; fail with the output otherwise."""
    done = subprocess.run(call, env=environment(**more), capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
