"""A model of runs on many machines from measured costs: where the time goes, and what one driver can feed.

    python benchmarks/scale_model.py --measure   # first the costs on this machine's cores (some minutes)
    python benchmarks/scale_model.py             # from benchmarks/results/scale_costs.json

Costs of codecs and metrics come from a run over the built-in corpus (what the store's ``costs.json`` sums up), costs of
the runner from ``scale_planning.json``. The assumptions are the fields of ``Cluster`` and ``Corpus`` and stand in
docs/scale.md.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from codecbench.cli.common import print_table

RESULTS = Path(__file__).parent / "results"
COSTS, PLANNING, MODEL = RESULTS / "scale_costs.json", RESULTS / "scale_planning.json", RESULTS / "scale_model.json"
MEASURED_TASKS = ("reconstruction", "intelligibility", "token_rate")


@dataclass(frozen=True)
class Cluster:
    """Machines without accelerators, one shard each: one codec process, the other cores score; a shared file system.

    start_s: of a job and its processes; load_s: of one codec or of all scorers, when a worker first meets them.
    """

    nodes: int = 64
    cores: int = 32
    start_s: float = 30.0
    load_s: float = 15.0


@dataclass(frozen=True)
class Corpus:
    """Utterances of log-normal length around ``mean_s`` with ``spread`` = standard deviation / mean."""

    name: str
    hours: float
    mean_s: float
    spread: float = 0.6

    @property
    def num_utterances(self) -> int:
        """Rounded."""
        return round(self.hours * 3600 / self.mean_s)


@dataclass(frozen=True)
class Costs:
    """Core seconds: of a codec (mean over those measured) and of each scorer for a second of audio, of the rest for
    each utterance and codec (driver) or each utterance (plan)."""

    codec_per_audio_s: float
    scorers_per_audio_s: dict[str, float]
    driver_per_item_s: float
    plan_per_utterance_s: float
    records_per_item_s: float


@dataclass(frozen=True)
class Prediction:
    """Hours of each part; slowest: of the node with the most audio over the mean. core_hours: all that is used."""

    corpus: str
    codecs: int
    scorers: tuple[str, ...]
    codec_h: float
    metrics_h: float
    overhead_h: float
    slowest: float
    merge_h: float
    wall_h: float
    core_hours: float
    one_core_h: float
    one_driver_nodes: float


def predict(corpus: Corpus, num_codecs: int, scorers: Sequence[str], cluster: Cluster, costs: Costs) -> Prediction:
    """Predict a sharded run of ``num_codecs`` codecs with ``scorers``."""
    slowest = _slowest(corpus, cluster)
    audio_s = corpus.hours * 3600 * num_codecs
    items = corpus.num_utterances * num_codecs
    metric_cost = sum(costs.scorers_per_audio_s[name] for name in scorers)
    codec_s = audio_s * costs.codec_per_audio_s / cluster.nodes * slowest
    metrics_s = audio_s * metric_cost / (cluster.nodes * (cluster.cores - 1)) * slowest
    driver_s = items * costs.driver_per_item_s / cluster.nodes * slowest
    # Every shard walks the whole manifest and plans its own part for each codec.
    plan_s = corpus.num_utterances * costs.plan_per_utterance_s * (1 + num_codecs / cluster.nodes)
    overhead_s = cluster.start_s + cluster.load_s * (num_codecs + 1) + plan_s
    # Codec, scorers and driver overlap: the slowest of them sets the pace.
    wall_s = overhead_s + max(codec_s, metrics_s, driver_s)
    merge_s = items * (costs.plan_per_utterance_s + costs.records_per_item_s)
    one_core_s = audio_s * (costs.codec_per_audio_s + metric_cost)
    per_item_s = (costs.codec_per_audio_s + metric_cost) * corpus.mean_s
    return Prediction(
        corpus.name,
        num_codecs,
        tuple(scorers),
        codec_s / 3600,
        metrics_s / 3600,
        overhead_s / 3600,
        slowest,
        merge_s / 3600,
        (wall_s + merge_s) / 3600,
        cluster.nodes * cluster.cores * wall_s / 3600,
        one_core_s / 3600,
        per_item_s / costs.driver_per_item_s / cluster.cores,
    )


def _slowest(corpus: Corpus, cluster: Cluster) -> float:
    """Greatest share of audio over the mean share where utterances fall to nodes by a hash of their ids."""
    rng = np.random.default_rng(0)
    counts = rng.multinomial(corpus.num_utterances, np.full(cluster.nodes, 1 / cluster.nodes), size=100)
    sums = counts + corpus.spread * np.sqrt(counts) * rng.standard_normal(counts.shape)
    return float((sums.max(axis=1) / sums.mean(axis=1)).mean())


def measure(limit: int) -> dict[str, Any]:
    """Run the default codecs over the built-in corpus with one metric process and return what each part has cost."""
    from codecbench.hardware import describe_hardware, versions
    from codecbench.runner.config import RunConfig
    from codecbench.runner.costs import FILE_NAME
    from codecbench.runner.run import run

    with tempfile.TemporaryDirectory() as folder:
        config = RunConfig(Path(folder) / "run", tasks=MEASURED_TASKS, limit=limit, workers=1, reports=("tables",))
        run(config)
        rows = json.loads((Path(folder) / "run" / "store" / FILE_NAME).read_text())
    return {"rows": rows, "limit": limit, "hardware": describe_hardware(), "versions": versions()}


def read_costs(measured: dict[str, Any], planning: dict[str, Any]) -> Costs:
    """Turn measurements into costs for each second of audio and each utterance."""
    rates = {(row["work"], row["name"]): row["seconds"] / row["audio_s"] for row in measured["rows"]}
    encode = [rate for (work, _), rate in rates.items() if work == "encode"]
    decode = [rate for (work, _), rate in rates.items() if work == "decode"]
    fresh, resumed = planning["fresh"], planning["resumed"]
    return Costs(
        float(np.mean(encode) + np.mean(decode)),
        {name: rate for (work, name), rate in rates.items() if work == "score"},
        planning["whole"]["driver_cpu_ms_per_item"] / 1000,
        (fresh["scan_s"] + fresh["survey_s"]) / planning["num_utterances"],
        (resumed["records_s"] + resumed["artifacts_s"]) / (2 * planning["num_utterances"]),
    )


def main() -> None:
    """Measure where asked, predict, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--limit", type=int, default=8, help="Utterances of the built-in corpus to measure on.")
    arguments = parser.parse_args()
    if arguments.measure:
        COSTS.write_text(json.dumps(measure(arguments.limit), indent=2) + "\n", "utf-8")
    costs = read_costs(json.loads(COSTS.read_text()), json.loads(PLANNING.read_text()))
    cluster = Cluster()
    everything = tuple(costs.scorers_per_audio_s)
    tokens_only = tuple(name for name in everything if name in ("rates", "text_tokens"))
    clean, vast = Corpus("LibriSpeech test-clean", 5.4, 7.42), Corpus("100,000 hours", 100_000.0, 12.0)
    predictions = [
        predict(clean, 100, everything, cluster, costs),
        predict(vast, 1, everything, cluster, costs),
        predict(vast, 1, tokens_only, cluster, costs),
    ]
    rows = [
        (
            p.corpus,
            str(p.codecs),
            "all" if p.scorers == everything else ", ".join(p.scorers),
            f"{p.codec_h:.2f} h",
            f"{p.metrics_h:.2f} h",
            f"{p.overhead_h:.2f} h",
            f"{p.slowest:.2f}",
            f"{p.wall_h:.2f} h",
            f"{p.core_hours:,.0f}",
            f"{p.one_driver_nodes:,.0f}",
        )
        for p in predictions
    ]
    columns = ("corpus", "codecs", "scorers", "codec", "metrics", "overhead", "slowest / mean", "wall", "core hours",
               "nodes that one driver feeds")  # fmt: skip
    print_table(f"Model: {cluster.nodes} nodes of {cluster.cores} cores", columns, rows)
    facts = {"cluster": asdict(cluster), "costs": asdict(costs), "predictions": [asdict(p) for p in predictions]}
    MODEL.write_text(json.dumps(facts, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
