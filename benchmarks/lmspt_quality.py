"""What the LM-SPT weights that ship keep on held-out speakers, beside Codec 2, LPCNet and Lyra, all in one run.

    python benchmarks/lmspt_quality.py --speech ../shared/speech/manifest.jsonl --root ../shared \
        --lyra ../shared/weights/lyra --recorded runs/recorded --out docs/results/lmspt

Two corpora, neither of whose speakers was trained on: the 197 Asterisk prompts, and the ``heldout`` part of the read
speech. WER is by Whisper tiny.en; Whisper base (its encoder was the teacher: flagged) and pocketsphinx check it, and
parts of the tokens are scored, on fewer utterances where ``--check-limit`` says so.
Each goal of the model card becomes a row: the paired difference with its interval, which covers speakers or utterances
but not training seeds. ``--recorded`` names the runs of ``scripts/recorded_comparison.py``: other tokenizers' published
outputs, and LM-SPT on their originals. What was scored is not scored again: a stopped run goes on.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from codecbench.results import RunResults
from codecbench.stats import BootstrapSettings
from codecbench.stats.intervals import Interval
from codecbench.stats.summary import replicates_of

RECOGNIZERS = ("whisper-tiny.en", "whisper-base", "pocketsphinx")
HEADLINE = ("wer", "whisper-tiny.en")
TEACHER = "whisper-base"
MEASURES = (
    ("pesq_wb", ""), ("stoi", ""), ("estoi", ""), ("distillmos", ""), ("speaker_similarity", ""), HEADLINE,
)  # fmt: skip
VARIANTS = ("mini-12.5hz", "mini-25hz", "mini-6.25hz")
CODEBOOKS = (2, 4)  # beside all of them, and the first alone, which is the semantic one
PARTS_ON = "asterisk-en"
READERS = "heldout"


@dataclass(frozen=True)
class Goal:
    """What a variant is held to: better than ``rival`` on ``measures``; ``beyond`` marks an aim past the goal."""

    variant: str
    rival: str
    measures: tuple[tuple[str, str], ...] = MEASURES
    beyond: bool = False


GOALS = (
    Goal("mini-12.5hz", "codec2:1300"),
    Goal("mini-12.5hz", "lpcnet"),
    Goal("mini-12.5hz", "lyra:3.2kbps", (HEADLINE, ("stoi", "")), beyond=True),
    Goal("mini-25hz", "codec2:3200"),
    Goal("mini-25hz", "lyra:6kbps", (HEADLINE,), beyond=True),
    Goal("mini-6.25hz", "codec2:700C"),
    Goal("mini-6.25hz", "codec2:1300", beyond=True),
)
RECORDED_GOALS = tuple(
    Goal(variant, f"recorded:{system}", measures, beyond=True)
    for system, measures in (
        ("speechtokenizer-500-xcodec-page-nq1", MEASURES),
        ("encodec-750-xcodec-page-nq1", MEASURES),
        ("encodec-1500-freecodec-page", MEASURES),
        ("mimi-550-4-codebooks", (HEADLINE,)),
    )
    for variant in ("mini-25hz", "mini-12.5hz")
)


@dataclass(frozen=True)
class Verdict:
    """One goal on one measure: both figures, the paired difference (ours minus theirs) with its 95 % interval."""

    corpus: str
    variant: str
    rival: str
    metric: str
    component: str
    beyond: bool
    ours: float
    theirs: float
    low: float | None
    high: float | None
    num_units: int
    unit: str
    reached: bool
    separable: bool


def anchors(variants: Sequence[str]) -> list[str]:
    """The other systems that the goals of ``variants`` name."""
    return list(dict.fromkeys(goal.rival for goal in GOALS if goal.variant in variants))


def heldout_manifest(speech: Path, root: Path, out: Path, limit: int | None) -> Path:
    """Write the held-out rows of the read speech, or ``limit`` of them over all readers, as the manifest ``out``."""
    rows = [json.loads(line) for line in speech.read_text("utf-8").splitlines() if line.strip()]
    kept = [row | {"audio": str((root / row["file"]).resolve())} for row in rows if row.get("split") == "heldout"]
    if limit and limit < len(kept):
        kept = [kept[i * len(kept) // limit] for i in range(limit)]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept), "utf-8")
    return out


@dataclass(frozen=True)
class Corpus:
    """What ``--corpus`` takes, and how many of its first utterances (None: all)."""

    name: str
    limit: int | None = None


@dataclass(frozen=True)
class Part:
    """One run of the benchmark: what is scored on what, by whom. is_judged: goals are judged by it."""

    name: str
    title: str
    corpus: Corpus
    codecs: Sequence[str]
    recognizers: Sequence[str]
    tasks: str
    is_judged: bool = False


def run(part: Part, arguments: argparse.Namespace) -> Path:
    """Run codecbench; what the store holds is not scored again."""
    folder: Path = arguments.work / part.name
    command = [
        *(sys.executable, "-m", "codecbench", "run", "--corpus", part.corpus.name, "--out", str(folder)),
        *("--codecs", ",".join(["identity", *part.codecs])),
        *("--recognizer", ",".join(part.recognizers)),
        *("--tasks", part.tasks, "--store", str(arguments.work / "store")),
        *("--set", "manifest.allow_outside=true"),
        *(("--set", f"lyra.weights={arguments.lyra}") if arguments.lyra else ()),
        *(("--set", f"lmspt.weights={arguments.weights}") if arguments.weights else ()),
        *(("--limit", str(part.corpus.limit)) if part.corpus.limit else ()),
    ]
    done = subprocess.run(command, check=False)
    if done.returncode not in (0, 3):
        raise SystemExit(f"{part.name}: codecbench run ended with {done.returncode}")
    return folder


def parts(arguments: argparse.Namespace) -> Iterator[Part]:
    """Yield what there is to run."""
    variants: Sequence[str] = arguments.variants
    whole = [*(f"lmspt:{variant}" for variant in variants), *anchors(variants)]
    tails = (*(f"@{k}" for k in arguments.codebooks), "/semantic")
    fewer = [f"lmspt:{variant}{tail}" for variant in variants for tail in tails]
    others = [name for name in arguments.recognizers if name != HEADLINE[1]]
    tasks = "reconstruction,intelligibility,token_rate"
    for name, corpus, checked in corpora(arguments):
        yield Part(name, name, corpus, whole, [HEADLINE[1]], tasks, is_judged=True)
        if others:
            yield Part(f"{name}-check", f"{name}, other recognisers", checked, whole, others, "intelligibility")
        if name == PARTS_ON:
            # Parts of the tokens are scored on one corpus: they say something of the codec, not of the readers.
            title = f"{name}, fewer codebooks"
            yield Part(f"{name}-parts", title, checked, fewer, [HEADLINE[1]], "intelligibility,token_rate")


def corpora(arguments: argparse.Namespace) -> Iterator[tuple[str, Corpus, Corpus]]:
    """Yield each corpus with its name, and what of it checks the headline; limits take readers evenly."""
    limit, readers = arguments.limit, arguments.readers or arguments.limit
    yield PARTS_ON, Corpus(PARTS_ON, limit), Corpus(PARTS_ON, arguments.check_limit or limit)
    if arguments.speech:
        root = arguments.root or arguments.speech.parent
        whole, checked = (
            heldout_manifest(arguments.speech, root, arguments.work / name / "heldout.jsonl", count)
            for name, count in (("all", readers), ("check", arguments.check_limit or readers))
        )
        yield READERS, Corpus(str(whole)), Corpus(str(checked))


def verdicts(results: RunResults, corpus: str, goals: Sequence[Goal] = GOALS) -> Iterator[Verdict]:
    """Judge every goal whose two systems were scored, on the utterances that both have."""
    for goal in goals:
        for metric, component in goal.measures:
            found = _judge(results, corpus, goal, metric, component)
            if found is not None:
                yield found


def recorded_verdicts(runs: Path) -> list[Verdict]:
    """Judge the goals whose rival was recorded, each in the comparison with the most units."""
    found: dict[tuple[str, ...], Verdict] = {}
    for folder in sorted(path.parent for path in runs.glob("*/run.json")):
        for verdict in verdicts(RunResults.load(folder), folder.name, RECORDED_GOALS):
            goal = (verdict.variant, verdict.rival, verdict.metric, verdict.component)
            if goal not in found or verdict.num_units > found[goal].num_units:
                found[goal] = verdict
    if not found:
        raise SystemExit(f"--recorded {runs}: no run in it compares LM-SPT with a recorded system that a goal names")
    return list(found.values())


def _judge(results: RunResults, corpus: str, goal: Goal, metric: str, component: str) -> Verdict | None:
    table = results.scores(metric, component)
    labels = (f"lmspt:{goal.variant}", goal.rival)
    if not set(labels) <= set(table.codecs):
        return None
    pair = np.array([table.codecs.index(label) for label in labels])
    used = np.asarray(table.ok[pair].all(axis=0))
    if not used.any():
        return None
    replicates, unit = replicates_of(table, pair, used, BootstrapSettings())
    ours, theirs = (float(v) for v in replicates.estimates)
    (test,) = replicates.against(0, [1])
    between: Interval = test.interval
    better = ours > theirs if table.metric.direction == "higher" else ours < theirs
    separable = between.low is not None and between.high is not None and between.low * between.high > 0
    return Verdict(
        corpus, goal.variant, goal.rival, metric, component, goal.beyond, ours, theirs, between.low, between.high,
        replicates.num_units, unit, better, separable,
    )  # fmt: skip


def as_markdown(found: Sequence[Verdict]) -> str:
    """The verdicts as a table."""
    lines = ["| corpus | system | against | measure | ours | theirs | difference | verdict |", "|" + " --- |" * 8]
    for v in found:
        span = "" if v.low is None or v.high is None else f" [{v.low:+.3g}, {v.high:+.3g}]"
        verdict = ("better" if v.reached else "worse") + ("" if v.separable else ", not separable")
        aim = " (aim beyond)" if v.beyond else ""
        measure = v.metric + (f" ({v.component})" if v.component else "")
        lines.append(
            f"| {v.corpus} | lmspt:{v.variant} | {v.rival}{aim} | {measure} | {v.ours:.3g} | {v.theirs:.3g} | "
            f"{v.ours - v.theirs:+.3g}{span} | {verdict} |"
        )
    return "\n".join(lines) + "\n"


def section(title: str, folder: Path) -> str:
    """The table of one run."""
    return f"## {title}\n\n{(folder / 'tables' / 'summary.md').read_text('utf-8')}\n"


def main() -> None:
    """Run both corpora and write tables, verdicts and their figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speech", type=Path, help="manifest with a split 'heldout'; left out if not given")
    parser.add_argument("--root", type=Path, help="folder that the manifest's paths start from")
    parser.add_argument("--lyra", type=Path, help="folder with Lyra's weights")
    parser.add_argument("--weights", type=Path, help="LM-SPT weights to score instead of the shipped ones")
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=VARIANTS)
    parser.add_argument("--recognizers", nargs="+", default=list(RECOGNIZERS), choices=RECOGNIZERS)
    parser.add_argument("--codebooks", nargs="*", type=int, default=list(CODEBOOKS), help="fewer of them, on Asterisk")
    parser.add_argument("--limit", type=int, help="at most so many utterances of each corpus")
    parser.add_argument("--readers", type=int, help="at most so many of the read speech instead, over all readers")
    parser.add_argument("--check-limit", type=int, help="the same for other recognisers and parts of the tokens")
    parser.add_argument("--recorded", type=Path, help="runs of scripts/recorded_comparison.py; left out if not given")
    parser.add_argument("--work", type=Path, default=Path("runs/lmspt-quality"))
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    found: list[Verdict] = []
    text = []
    for part in parts(arguments):
        folder = run(part, arguments)
        text.append(section(part.title, folder))
        if part.is_judged:
            found += verdicts(RunResults.load(folder), part.name)
    found += recorded_verdicts(arguments.recorded) if arguments.recorded else []
    note = f"WER by {TEACHER} flatters models that its encoder taught. Intervals do not cover training seeds.\n"
    (arguments.out / "quality.md").write_text("\n".join([*text, "## Goals\n", as_markdown(found), note]), "utf-8")
    (arguments.out / "quality.json").write_text(json.dumps([asdict(v) for v in found], indent=1) + "\n", "utf-8")
    print(as_markdown(found))


if __name__ == "__main__":
    main()
