"""Scoring checkpoints by codecbench itself while training goes on: an ordinary run in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from codecbench_train.config import TrainConfig


@dataclass(frozen=True)
class Score:
    """One headline metric of one checkpoint."""

    step: int
    metric: str
    value: float


def scoring_command(config: TrainConfig, weights: Path, folder: Path, store: Path) -> list[str]:
    """The ``codecbench run`` that scores ``weights`` into ``folder``, sharing ``store`` with the other steps."""
    family, settings = config.model.name, config.scoring
    call = [sys.executable, "-m", "codecbench", "run", "--codecs", f"{family}:{config.model.preset}"]
    call += ["--set", f"{family}.weights={weights}", "--corpus", settings.corpus, "--tasks", ",".join(settings.tasks)]
    call += ["--out", str(folder), "--store", str(store), "--workers", "1"]
    if settings.limit:
        call += ["--limit", str(settings.limit)]
    if settings.recognizer:
        call += ["--recognizer", settings.recognizer]
    return call


class CheckpointScorer:
    """Starts one scoring run at a time, niced, on the CPU; a failed one is reported and costs nothing else."""

    def __init__(self, config: TrainConfig, out: Path) -> None:
        self.config = config
        self.folder = (Path(config.scoring.store) if config.scoring.store else out / "scores").resolve()
        self.running: subprocess.Popen[bytes] | None = None
        self.step = 0

    def run_folder(self, step: int) -> Path:
        """Where the run of one step lies; ``codecbench report`` takes these folders."""
        return self.folder / f"step-{step:08d}"

    def start(self, weights: Path, step: int) -> None:
        """Score ``weights`` (a file that will not change) as the model at ``step``; one at a time."""
        folder = self.run_folder(step)
        folder.mkdir(parents=True, exist_ok=True)
        call = scoring_command(self.config, weights, folder, self.folder / "store")
        # Launched under torchrun, the child must not take itself for a rank.
        environment = {k: v for k, v in os.environ.items() if k not in {"RANK", "LOCAL_RANK", "WORLD_SIZE"}}
        with (folder / "scoring.log").open("wb") as log:
            self.running = subprocess.Popen(
                call, stdout=log, stderr=subprocess.STDOUT, env=environment, preexec_fn=lambda: os.nice(10)
            )
        self.step = step

    def wait(self) -> None:
        """Wait for the running one, if there is one."""
        if self.running is not None:
            self.running.wait()

    def collect(self) -> tuple[list[Score], str]:
        """Scores of a run that has ended since the last call, and what went wrong with it ('' if nothing)."""
        if self.running is None or self.running.poll() is None:
            return [], ""
        code, self.running = self.running.returncode, None
        folder = self.run_folder(self.step)
        try:
            scores = headline_scores(folder, self.step)
        except Exception as error:
            return [], f"scoring step {self.step} failed (exit code {code}, {error}); see {folder / 'scoring.log'}"
        return scores, "" if scores else f"scoring step {self.step} gave nothing; see {folder / 'scoring.log'}"


def headline_scores(folder: Path, step: int) -> list[Score]:
    """Headline metrics of the codecs of a finished run that are not anchors, as numbers for curves."""
    from codecbench.results import RunResults

    results = RunResults.load(folder)
    scores = []
    for row in results.summary.rows:
        metric, codec = results.metrics[row.metric], results.codec_infos.get(row.codec)
        if metric.headline and row.estimate is not None and codec is not None and codec.role == "codec":
            name = f"{row.metric}/{row.component}" if row.component else row.metric
            scores.append(Score(step, name, float(row.estimate)))
    return scores
