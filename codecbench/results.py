"""A finished run as data: ``run.json`` and the records of every utterance, codec and metric."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from codecbench.contracts.metric import Record
from codecbench.errors import CodecbenchError
from codecbench.runinfo import CodecInfo, MetricInfo, RunInfo

if TYPE_CHECKING:
    from codecbench.artifacts import Artifact, Artifacts
    from codecbench.stats import ScoreTable, Summary

RECORDS_FOLDER = "records"
COLUMNS = tuple(f.name for f in fields(Record))
_NUMBERS = ("duration_s", "value", "numerator", "denominator")
# Few distinct values over many rows: categories keep a run of a million records small and quick to group.
_CATEGORIES = (
    "codec", "scorer", "metric", "metric_version", "component", "utterance_id", "speaker", "language", "status",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class RunResults:
    """One run: what it was (``info``), its records (one row each, columns as in ``Record``), where it lies."""

    info: RunInfo
    records: pd.DataFrame
    folder: Path | None = None

    @classmethod
    def load(cls, folder: Path) -> RunResults:
        """Read a run folder; raises CodecbenchError naming what is missing or cannot be read."""
        try:
            info = RunInfo.load(folder)
        except FileNotFoundError as error:
            raise CodecbenchError(f"{folder} is not a run: it has no run.json (give the folder after --out)") from error
        except (ValueError, TypeError, KeyError) as error:
            raise CodecbenchError(f"{folder}/run.json cannot be read: {error}") from error
        return cls.from_frame(info, _read_shards(folder / RECORDS_FOLDER), folder)

    @classmethod
    def from_records(cls, info: RunInfo, records: Sequence[Record], folder: Path | None = None) -> RunResults:
        """Make results from records in memory."""
        columns = {name: [getattr(record, name) for record in records] for name in COLUMNS}
        return cls.from_frame(info, pd.DataFrame(columns), folder)

    @classmethod
    def from_frame(cls, info: RunInfo, frame: pd.DataFrame, folder: Path | None = None) -> RunResults:
        """Make results from a frame with the columns of ``Record``: types set, repeated records dropped.

        Raises CodecbenchError for a missing column or for two different records of one codec, metric,
        component and utterance.
        """
        missing = [name for name in COLUMNS if name not in frame.columns]
        if missing:
            raise CodecbenchError(f"records of {folder or info.name} lack the columns {', '.join(missing)}")
        frame = _typed(frame.loc[:, list(COLUMNS)])
        row = ["key", "codec", "metric", "component", "utterance_id"]
        frame = frame.drop_duplicates(row, keep="last", ignore_index=True)
        _refuse_conflicts(frame, str(folder or info.name))
        return cls(info, frame, folder)

    def with_info(self, info: RunInfo) -> RunResults:
        """Return the same records under another ``info``; what was computed from the records is kept."""
        changed = replace(self, info=info)
        kept = ("_groups", "summary", "artifacts")
        changed.__dict__.update({name: self.__dict__[name] for name in kept if name in self.__dict__})
        return changed

    def with_artifacts(self, rows: Iterable[Artifact]) -> RunResults:
        """Return the same records with what lies behind them, by paths that are absolute."""
        from codecbench.artifacts import Artifacts

        changed = replace(self)
        changed.__dict__["artifacts"] = Artifacts(Path(), rows)
        return changed

    @property
    def codecs(self) -> tuple[str, ...]:
        """Labels of all codecs asked for, in the order of the command, also those that were unavailable."""
        known = [codec.label for codec in self.info.codecs]
        return tuple(known + [str(c) for c in self.records["codec"].cat.categories if c not in known])

    @cached_property
    def codec_infos(self) -> dict[str, CodecInfo]:
        """What is known of each codec, by label."""
        return {codec.label: codec for codec in self.info.codecs}

    @cached_property
    def metrics(self) -> dict[str, MetricInfo]:
        """What is known of each metric, by name."""
        return {metric.name: metric for metric in self.info.metrics}

    @cached_property
    def artifacts(self) -> Artifacts:
        """Original and decoded audio and the tokens, where the run kept them."""
        from codecbench.artifacts import Artifacts

        return Artifacts.load(self.folder) if self.folder else Artifacts(Path(), ())

    @cached_property
    def _groups(self) -> dict[tuple[str, str], pd.Index]:
        # A few dozen groups over up to a million rows: grouped once, then looked up.
        grouped: Any = self.records.groupby(["metric", "component"], observed=True, sort=False).groups
        return {(str(m), str(c)): rows for (m, c), rows in grouped.items()}

    def components(self, metric: str) -> tuple[str, ...]:
        """Components that ``metric`` has records of: recognisers, codebooks, batch sizes, or one empty name."""
        return tuple(sorted({c for m, c in self._groups if m == metric}, key=_natural))

    def view(self, metric: str, component: str = "") -> pd.DataFrame:
        """Return the records of one metric and component."""
        rows = self._groups.get((metric, component))
        return self.records.iloc[0:0] if rows is None else self.records.loc[rows]

    def views(self) -> Iterator[tuple[MetricInfo, str]]:
        """Walk over every metric with records and its components, in the order of ``info.metrics``."""
        for metric in self.info.metrics:
            for component in self.components(metric.name):
                yield metric, component

    def scores(self, metric: str, component: str = "") -> ScoreTable:
        """Return the values of one metric as arrays [codecs, utterances], with which of them are scorable."""
        from codecbench.stats import ScoreTable

        return ScoreTable.of(self.metrics[metric], component, self.view(metric, component))

    def counts(self) -> pd.DataFrame:
        """Number of records for each codec, metric, component (rows) and status (columns)."""
        keys = ["codec", "metric", "component"]
        return self.records.groupby([*keys, "status"], observed=True).size().unstack("status", fill_value=0)

    @cached_property
    def summary(self) -> Summary:
        """Estimates, intervals and rank groups of every codec and metric (computed once)."""
        from codecbench.stats import summarize

        return summarize(self)


def _natural(text: str) -> tuple[int, str]:
    return (len(text), text) if text.isdigit() else (0, text)


def _read_shards(folder: Path) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = []
    for path in sorted(folder.glob("*.parquet")):
        try:
            tables.append(pq.read_table(path, read_dictionary=list(_CATEGORIES)))
        except (OSError, pa.ArrowException) as error:
            raise CodecbenchError(f"{path} cannot be read ({error}); delete it and run again to remake it") from error
    if not tables:
        return pd.DataFrame({name: [] for name in COLUMNS})
    # A shard without a single value has a column of type null.
    return pa.concat_tables(tables, promote_options="permissive").to_pandas()


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    columns: dict[str, Any] = {}
    for name in COLUMNS:
        if name in _NUMBERS:
            columns[name] = pd.to_numeric(frame[name]).astype("float64")
        else:
            columns[name] = _categories(frame[name]) if name in _CATEGORIES else _text(frame[name])
    return pd.DataFrame(columns)


def _text(column: pd.Series) -> pd.Series:
    if column.isna().any():
        column = column.astype("object").where(column.notna(), "")
    return column.astype(str)


def _categories(column: pd.Series) -> pd.Series:
    """Return text as categories in alphabetical order; one that is read as categories is never spelt out."""
    if not isinstance(column.dtype, pd.CategoricalDtype):
        return _text(column).astype("category")
    used = column.cat.remove_unused_categories()
    if used.hasnans:
        used = used.cat.add_categories(sorted({""} - set(used.cat.categories))).fillna("")
    names = [str(name) for name in used.cat.categories]
    return used.cat.rename_categories(names).cat.set_categories(sorted(names))


def _refuse_conflicts(frame: pd.DataFrame, where: str) -> None:
    twice = frame[frame.duplicated(["codec", "metric", "component", "utterance_id"])]
    if len(twice):
        codec, metric, utterance = (twice[name].iloc[0] for name in ("codec", "metric", "utterance_id"))
        raise CodecbenchError(
            f"{where}: {len(twice)} records contradict others, first of codec '{codec}', metric '{metric}', utterance "
            f"'{utterance}': records of different settings lie in one run; choose another --out folder"
        )
