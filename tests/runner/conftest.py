"""A small corpus of synthetic audio, and runs of the toy plugin over it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from codecbench.runner.config import RunConfig
from codecbench.runner.run import RunOutcome, run

TOY = Path(__file__).resolve().parent.parent / "toy_plugin.py"


def write_corpus(folder: Path, names: list[str]) -> Path:
    """Write one 0.2–0.5 s tone for each name, and the manifest."""
    rows = []
    for index, name in enumerate(names):
        samples = np.arange(3200 + 480 * index + 7 * index)
        audio = 0.1 * (1 + index % 7) * np.sin(samples * 0.05 * (1 + index % 3))
        soundfile.write(folder / f"{name}.wav", audio.astype(np.float32), 16000, subtype="FLOAT")
        rows.append({"id": name, "audio": f"{name}.wav", "text": f"text {index}", "speaker": f"s{index % 3}"})
    manifest = folder / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return manifest


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A manifest of ten utterances."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    return write_corpus(folder, [f"u{i}" for i in range(10)])


@pytest.fixture
def toy_run(tmp_path: Path, corpus: Path) -> Callable[..., RunOutcome]:
    """Run the toy plugin; keyword arguments change the configuration."""

    def start(**changes: Any) -> RunOutcome:
        config = RunConfig(
            out=tmp_path / "run",
            codecs=("toy-ceiling", "toy"),
            corpus=str(corpus),
            tasks=("toy-task",),
            reports=("tables",),
            workers=1,
            plugin_files=(TOY,),
        )
        return run(replace(config, **changes))

    return start
