"""Tokens of a corpus by an ordinary run of the benchmark: what its store holds is not encoded again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codecbench.contracts.audio import Utterance
from codecbench.contracts.codec import Role
from codecbench.contracts.encoded import Encoded
from codecbench.contracts.metric import Record, Status
from codecbench.errors import CodecbenchError, UsageError
from codecbench.hashing import digest
from codecbench.loading import PreparedCodec, prepare
from codecbench.options import parse_settings
from codecbench.plugins import PluginHost
from codecbench.results import RunResults
from codecbench.runinfo import FILE_NAME
from codecbench.runner.config import RunConfig
from codecbench.runner.progress import Progress, Quiet
from codecbench.runner.run import run
from codecbench_slm import TASK
from codecbench_slm.config import SlmConfig
from codecbench_slm.corpus import write_manifest

# The runner always adds the ceiling, and its tables are the quickest report.
REPORTS = ("tables",)
_EXPLAINED = (Status.OK, Status.NOT_APPLICABLE, Status.NO_TEXT)


@dataclass(frozen=True)
class Workplace:
    """Where tokens are made and kept: plugins, store, device of codecs, and who is told."""

    host: PluginHost
    store: Path
    device: str = "cpu"
    plugin_files: tuple[Path, ...] = ()
    progress: Progress = field(default_factory=Quiet)


@dataclass(frozen=True, eq=False)
class Encodings:
    """The tokens of utterances by one codec name, and the records of their rates."""

    prepared: PreparedCodec
    results: RunResults

    @property
    def label(self) -> str:
        """The codec's full name."""
        return self.prepared.label

    def get(self, utterance: Utterance) -> Encoded | None:
        """Return what the codec's name reads of one utterance's tokens (B = 1), or None where there are none."""
        return self.results.artifacts.tokens(self.label, utterance.id)

    def records(self) -> tuple[Record, ...]:
        """The records of the codec's rates."""
        frame = self.results.records
        own = frame[frame["codec"] == self.label].astype(object)
        rows: Any = own.where(own.notna(), None).to_dict("records")
        return tuple(Record(**row) for row in rows)

    def failures(self) -> dict[str, str]:
        """Reason of each utterance that could not be encoded, by id."""
        bad = (record for record in self.records() if record.status not in _EXPLAINED)
        return {record.utterance_id: record.reason or record.status for record in bad}


def prepared_codec(place: Workplace, config: SlmConfig) -> PreparedCodec:
    """Resolve the configured codec; raises UsageError for its name and Unavailable where it cannot be had."""
    prepared = prepare(place.host.registry, config.codec, parse_settings(config.codec_options), place.device)
    if prepared.unavailable is not None:
        raise prepared.unavailable
    if prepared.spec.role is not Role.CODEC or prepared.spec.encode_only:
        raise UsageError(f"codec '{config.codec}' cannot be used: speech has to be decoded from its tokens again")
    return prepared


def encode(place: Workplace, config: SlmConfig, utterances: Sequence[Utterance]) -> Encodings:
    """Encode what the store lacks, in a codec process; a crash costs its utterance and nothing else."""
    prepared = prepared_codec(place, config)
    folder = place.store / "slm"
    manifest = write_manifest(folder / "manifests", utterances)
    name = digest([prepared.label, dict(prepared.encode_identity), manifest.stem])
    known = _complete(prepared, folder / "tokens" / name, utterances)
    if known is not None:
        return known
    request = RunConfig(
        out=folder / "tokens" / name,
        codecs=(prepared.label,),
        corpus=str(manifest),
        tasks=(TASK,),
        reports=REPORTS,
        settings={**parse_settings(config.codec_options), "manifest": {"allow_outside": "true"}},
        device=place.device,
        store=place.store,
        keep_audio=False,
        plugin_files=place.plugin_files,
        command=("codecbench", "slm", "prepare"),
    )
    return Encodings(prepared, run(request, place.progress, place.host).results)


def _complete(prepared: PreparedCodec, folder: Path, utterances: Sequence[Utterance]) -> Encodings | None:
    """Return an earlier run's tokens where it has them of every utterance: then there is nothing to run.

    With several ranks the first one encodes, and the others, which must not write the same files, come here.
    """
    if not (folder / FILE_NAME).is_file():
        return None
    made = Encodings(prepared, RunResults.load(folder))
    return made if all(made.get(utterance) is not None for utterance in utterances) else None


def require_tokens(encodings: Encodings, utterances: Sequence[Utterance]) -> None:
    """Raise CodecbenchError where an utterance has no tokens, with the reason and what to do."""
    missing = [u.id for u in utterances if encodings.get(u) is None]
    if missing:
        reason = encodings.failures().get(missing[0], "the codec gives none (see docs/slm.md: codecs without tokens)")
        raise CodecbenchError(
            f"codec '{encodings.label}' has no tokens of {len(missing)} of {len(utterances)} utterances, first of "
            f"'{missing[0]}': {reason}. All codecs must see the same utterances: leave these out for all of them by "
            "data.exclude, or mend them"
        )
