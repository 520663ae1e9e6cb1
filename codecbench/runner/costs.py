"""What work has cost so far, kept beside the store: seconds per second of audio, for estimates only."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from enum import StrEnum

from codecbench.runner.messages import CodecResult, CodecTask, ScoreResult, ScoreTask, Spent
from codecbench.store.places import Place, StoreError, StorePath

FILE_NAME = "costs.json"


class Work(StrEnum):
    """Kinds of work."""

    ENCODE = "encode"
    DECODE = "decode"
    SCORE = "score"


@dataclass(frozen=True)
class Item:
    """One kind of work by one codec (label of the lane, or full name for encoding) or scorer, on one kind of device."""

    work: Work
    name: str
    device: str = "cpu"


class Costs:
    """Sums of what each item has cost in all runs on one store; engines report to it.

    By name, not by identity: after a changed option the old cost is the best estimate there is.
    """

    def __init__(self, store: Place, device: str = "cpu") -> None:
        self._path, self._device = StorePath.of(store) / FILE_NAME, device.split(":")[0]
        self._spent: dict[Item, Spent] = {}
        # Without a file that can be read there is no estimate.
        with contextlib.suppress(FileNotFoundError, StoreError, ValueError, KeyError, TypeError):
            for row in json.loads(self._path.read()):
                item = Item(Work(row["work"]), str(row["name"]), str(row["device"]))
                self._spent[item] = Spent(float(row["seconds"]), float(row["audio_s"]))

    def coded(self, task: CodecTask, result: CodecResult) -> None:
        """Take in what a codec task cost."""
        self._add(Item(Work.ENCODE, task.codec, self._device), result.encoding)
        for label, spent in result.decoding.items():
            self._add(Item(Work.DECODE, label, self._device), spent)

    def scored(self, task: ScoreTask, result: ScoreResult) -> None:
        """Take in what a score task cost."""
        for ref, spent in zip(task.scorers, result.scoring, strict=False):
            self._add(Item(Work.SCORE, ref.title), spent)

    def seconds(self, work: Work, name: str, audio_s: float) -> float | None:
        """Estimate seconds of ``work`` on ``audio_s`` seconds of audio; None where it was never done on this store."""
        if audio_s <= 0:
            return 0.0
        spent = self._spent.get(Item(work, name, "cpu" if work is Work.SCORE else self._device))
        return spent.seconds / spent.audio_s * audio_s if spent else None

    def save(self) -> None:
        """Write what is known; a store that cannot be written costs the estimate only."""
        rows = [{**asdict(item), **asdict(spent)} for item, spent in self._spent.items()]
        with contextlib.suppress(StoreError):
            self._path.write((json.dumps(rows, indent=1) + "\n").encode())

    def _add(self, item: Item, spent: Spent) -> None:
        if spent.audio_s > 0:
            self._spent[item] = self._spent.get(item, Spent()) + spent
