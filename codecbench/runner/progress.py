"""How the driver tells what it does: a small interface, silent or with rich progress bars."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self


class Progress(Protocol):
    """Receives the steps of a run."""

    def start(self, stage: str, total: int) -> None:
        """Begin a stage of ``total`` steps."""

    def advance(self, stage: str, steps: int = 1, note: str = "") -> None:
        """Count steps of a stage; ``note`` says what is being worked on."""

    def message(self, text: str) -> None:
        """Tell one line."""


class Quiet:
    """No output."""

    def start(self, stage: str, total: int) -> None:
        """Ignore."""

    def advance(self, stage: str, steps: int = 1, note: str = "") -> None:
        """Ignore."""

    def message(self, text: str) -> None:
        """Ignore."""


class RichProgress:
    """One bar for each stage, with the time left; lines of text above them."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description:<9}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("[dim]{task.fields[note]}"),
            console=Console(stderr=True),
        )
        self._tasks: dict[str, object] = {}

    def __enter__(self) -> Self:
        self._progress.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.__exit__(kind, error, trace)

    def start(self, stage: str, total: int) -> None:
        """Begin a stage of ``total`` steps."""
        if total:
            self._tasks[stage] = self._progress.add_task(stage, total=total, note="")

    def advance(self, stage: str, steps: int = 1, note: str = "") -> None:
        """Count steps of a stage."""
        task = self._tasks.get(stage)
        if task is not None:
            fields = {"note": note} if note else {}
            self._progress.update(task, advance=steps, **fields)  # type: ignore[arg-type]

    def message(self, text: str) -> None:
        """Tell one line above the bars."""
        from rich.markup import escape

        self._progress.console.print(escape(text), highlight=False)
