"""The hooks that a plugin may implement: the table of contents of the plugin contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from codecbench import registering as reg

PROJECT = "codecbench"
CONTRACT_VERSION = "1.0"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def register_codecs(register: reg.RegisterCodec) -> None:
    """Register codecs: ``register(CodecSpec(...), factory)``."""


@hookspec
def register_tasks(register: reg.RegisterTask) -> None:
    """Register tasks: ``register(TaskSpec(...))``."""


@hookspec
def register_metrics(register: reg.RegisterScorer) -> None:
    """Register metrics by the scorer that computes them: ``register(ScorerSpec(...), factory)``."""


@hookspec
def register_corpora(register: reg.RegisterCorpus) -> None:
    """Register corpora: ``register(CorpusSpec(...), opener)``."""


@hookspec
def register_recognizers(register: reg.RegisterRecognizer) -> None:
    """Register recognisers for WER: ``register(RecognizerSpec(...), factory)``."""


@hookspec
def register_reports(register: reg.RegisterReport) -> None:
    """Register reports: ``register(ReportSpec(...), renderer)``."""


@hookspec
def register_commands(register: reg.RegisterCommand) -> None:
    """Register subcommands: ``register("name", "one line of help", "module:click_command")``."""
