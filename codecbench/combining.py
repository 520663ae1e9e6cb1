"""Many runs as one, for a leaderboard; runs that do not measure the same thing are refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from codecbench.artifacts import write_artifacts
from codecbench.errors import UsageError
from codecbench.results import COLUMNS, RECORDS_FOLDER, RunResults
from codecbench.runinfo import FILE_NAME, CodecInfo, MetricInfo, RunInfo
from codecbench.stats.pairing import pair_utterances


def find_runs(folder: Path) -> tuple[Path, ...]:
    """Return the run folders in and below ``folder``, by name; raises UsageError where there is none."""
    found = tuple(sorted(path.parent for path in folder.rglob(FILE_NAME)))
    if not found:
        raise UsageError(f"{folder} holds no run (no {FILE_NAME} in it or below)")
    return found


def combine(runs: Sequence[RunResults], name: str = "leaderboard") -> RunResults:
    """Put runs into one, so that all codecs are compared on the utterances that they share.

    A codec that several runs have with the same settings is taken once; with other settings it keeps the name of
    its run behind its own. Timings from different hardware are left out. Raises UsageError where protocol, corpus,
    recognisers or versions of metrics differ.
    """
    first = runs[0]
    for run in runs[1:]:
        for what, a, b in _differences(first, run):
            raise UsageError(
                f"'{first.info.name}' and '{run.info.name}' cannot be put into one table: {what} differ "
                f"({a} against {b}); leave one out, or run it again with the other's"
            )
    one_machine = all(run.info.hardware == first.info.hardware for run in runs)
    metrics = {m.name: m for run in runs for m in run.info.metrics if one_machine or m.stage != "timing"}
    codecs: dict[str, CodecInfo] = {}
    frames, artifacts = [], []
    for run in runs:
        labels = {codec.label: _label(codec, run.info.name, codecs) for codec in run.info.codecs}
        for codec in run.info.codecs:
            known = codecs.get(labels[codec.label])
            if known is None or known.unavailable:
                codecs[labels[codec.label]] = replace(codec, label=labels[codec.label])
        frame = run.records.loc[run.records["metric"].isin(list(metrics)), list(COLUMNS)].copy()
        frame["codec"] = frame["codec"].astype(str).map(lambda label, own=labels: own.get(label, label))
        frames.append(frame.astype(dict.fromkeys(frame.select_dtypes("category"), str)))
        artifacts += [replace(row, codec=labels.get(row.codec, row.codec)) for row in run.artifacts.rows]
    records = _once(pd.concat(frames, ignore_index=True))
    info = _info(runs, name, tuple(codecs.values()), tuple(metrics.values()))
    return RunResults.from_frame(info, records).with_artifacts(artifacts)


def save_combined(results: RunResults, folder: Path) -> None:
    """Write a combined run as a run folder, from which reports can be made; audio and tokens stay where they lie."""
    import pyarrow as pa

    from codecbench.store.shards import write_whole

    records = folder / RECORDS_FOLDER
    records.mkdir(parents=True, exist_ok=True)
    plain = results.records.astype(dict.fromkeys(results.records.select_dtypes("category"), str))
    write_whole(pa.Table.from_pandas(plain, preserve_index=False), records / "0000.parquet")
    write_artifacts(folder, results.artifacts.rows)
    results.info.save(folder)


def _differences(a: RunResults, b: RunResults) -> Iterator[tuple[str, Any, Any]]:
    yield from _unequal("protocol versions", a.info.protocol_version, b.info.protocol_version)
    for fact in ("name", "num_utterances", "duration_s"):
        yield from _unequal(f"corpora ({fact})", getattr(a.info.corpus, fact), getattr(b.info.corpus, fact))
    for utterance in pair_utterances(a, b).other_audio:
        first, second = (run.artifacts.audio_sha256(utterance)[:12] for run in (a, b))
        yield f"audio files of '{utterance}'", first, second
    yield from _unequal("recognisers", _plain(a.info.recognizers), _plain(b.info.recognizers))
    for name, metric in a.metrics.items():
        if name in b.metrics:
            yield from _unequal(f"versions of {name}", metric.version, b.metrics[name].version)


def _unequal(what: str, a: Any, b: Any) -> Iterator[tuple[str, Any, Any]]:
    if a != b:
        yield what, a, b


def _plain(recognizers: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: dict(facts) for name, facts in sorted(recognizers.items())}


def _label(codec: CodecInfo, run: str, known: Mapping[str, CodecInfo]) -> str:
    other = known.get(codec.label)
    if other is None or codec.unavailable or other.unavailable:
        return codec.label
    same = (dict(other.identity), dict(other.options)) == (dict(codec.identity), dict(codec.options))
    return codec.label if same else f"{codec.label} ({run})"


def _once(records: pd.DataFrame) -> pd.DataFrame:
    """Keep one record where several runs have the same codec on the same utterance (timings have keys of their own)."""
    return records.drop_duplicates(["codec", "metric", "component", "utterance_id"], keep="last", ignore_index=True)


def _info(
    runs: Sequence[RunResults], name: str, codecs: tuple[CodecInfo, ...], metrics: tuple[MetricInfo, ...]
) -> RunInfo:
    info = runs[0].info
    same_versions = all(run.info.versions == info.versions for run in runs)
    same_hardware = all(run.info.hardware == info.hardware for run in runs)
    return replace(
        info,
        name=name,
        command=("codecbench", "leaderboard", *(run.info.name for run in runs)),
        created_utc=max(run.info.created_utc for run in runs),
        codecs=codecs,
        metrics=metrics,
        tasks=tuple(dict.fromkeys(task for run in runs for task in run.info.tasks)),
        hardware=info.hardware if same_hardware else {"processor": "several machines: no timings"},
        versions=info.versions if same_versions else {},
        settings={},
        flags=(),
        complete=all(run.info.complete for run in runs),
    )
