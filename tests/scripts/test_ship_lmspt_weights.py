"""What the shipping script reads from a training log, and what it puts into the package."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts")]

import ship_lmspt_weights as script  # noqa: E402
from codecbench_lmspt.model import LMSPT  # noqa: E402
from codecbench_lmspt.presets import load_preset  # noqa: E402
from codecbench_lmspt.weights import read  # noqa: E402

LOG = """lmspt:mini-12.5hz, 12.45 M parameters; 7.83 h to train on; 1 x cpu, fp32; step 0 of 2400
step 25/2400  mel 8.332  codebook/semantic 0  distillation 2.016  |  entropy 0.00 0.00  |  1.7 audio-s/s  peak 1.31 GiB
step 300  dev: mel distance 1.1110  mel 4.0350  distillation 1.7379  score 234.318 (best 234.318 at 300)
step 25/2400  mel 8.1  codebook/semantic 1.5e-05  distillation 2.016  |  entropy 0.00 0.00  |  1.7 audio-s/s
stopped at step 25 as asked; continue with --resume
"""


def test_curves_are_read_and_repeated_steps_count_once(tmp_path: Path) -> None:
    curves = script.read_log(LOG)
    assert curves.train == {"mel": {25: 8.1}, "codebook/semantic": {25: 1.5e-05}, "distillation": {25: 2.016}}
    assert curves.dev["mel distance"] == {300: 1.111}
    assert curves.dev["score"] == {300: 234.318}
    script.draw(curves, tmp_path / "docs" / "losses.png")
    assert (tmp_path / "docs" / "losses.png").stat().st_size > 5000


def test_weights_ship_with_their_licence_and_not_if_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = LMSPT(load_preset("tiny", {"card.licence_weights": "CC-BY-SA-4.0"}))
    model.save_pretrained(tmp_path / "weights" / "best.safetensors")
    monkeypatch.setattr(script, "shipped_weights", lambda preset: tmp_path / "package" / f"{preset}.safetensors")
    path = script.ship(tmp_path, "best")
    state, metadata = read(path)
    assert metadata["licence"] == "CC-BY-SA-4.0"
    assert {str(value.dtype) for value in state.values()} == {"torch.float16"}
    LMSPT.from_pretrained(path)
    monkeypatch.setattr(script, "LARGEST_BYTES", 1000)
    with pytest.raises(SystemExit, match="may ship"):
        script.ship(tmp_path, "best")
