"""``codecbench train``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from codecbench.errors import UsageError, unknown_name
from codecbench_train.config import TrainConfig
from codecbench_train.toml import build, merge, read_tables, settings_tables

CONFIG_DIR = Path(__file__).parent / "configs"


def shipped_configs() -> tuple[str, ...]:
    """Names of the configurations in the package."""
    return tuple(sorted(path.stem for path in CONFIG_DIR.glob("*.toml")))


def find_config(name: str) -> Path:
    """A TOML file by path, or by the name of one in the package. Raises ``UsageError``."""
    path = Path(name)
    if path.suffix == ".toml" or path.is_file():
        return path
    if name not in shipped_configs():
        raise unknown_name("training configuration", name, shipped_configs())
    return CONFIG_DIR / f"{name}.toml"


def data_tables(arguments: Sequence[str]) -> list[dict[str, Any]]:
    """``PATH[,weight=2][,root=DIR][,split=train][,dev_speakers=20]`` as ``[[data.sources]]`` tables."""
    tables = []
    for argument in arguments:
        path, *settings = argument.split(",")
        table: dict[str, Any] = {"path": str(Path(path).expanduser())}
        tables.append(table | settings_tables(settings))
    return tables


def resolve(
    model: str | None,
    preset: str | None,
    data: Sequence[str],
    configs: Sequence[str],
    settings: Sequence[str],
    base: Path | None,
) -> TrainConfig:
    """The configuration of a run: the resumed run's or the preset's, then ``--config`` files, then ``--set``."""
    tables: dict[str, Any] = read_tables(base) if base else {}
    if preset:
        shipped = read_tables(find_config(preset)) if preset in shipped_configs() else {"model": {"preset": preset}}
        tables = merge(tables, shipped)
    if model:
        tables = merge(tables, {"model": {"name": model}})
    for name in configs:
        tables = _merge_config(tables, read_tables(find_config(name)))
    if data:
        tables = merge(tables, {"data": {"sources": data_tables(data)}})
    return build(TrainConfig, _merge_config(tables, settings_tables(settings)))


def _merge_config(tables: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Merge, but add to ``model.overrides`` instead of replacing it: ablations stack."""
    overrides = [*tables.get("model", {}).get("overrides", ()), *over.get("model", {}).get("overrides", ())]
    merged = merge(tables, over)
    return merge(merged, {"model": {"overrides": overrides}}) if overrides else merged


@click.command()
@click.argument("model", required=False)
@click.option("--preset", help="A training preset, or a preset of the model.")
@click.option(
    "--data", multiple=True, help="Manifest, folder or shards: PATH[,weight=2][,split=train][,dev_speakers=20]."
)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of the run.")
@click.option("--config", "configs", multiple=True, help="A TOML file, or the name of one in the package (ablations).")
@click.option("--set", "settings", multiple=True, help="One setting: KEY=VALUE, for example data.batch_size=32.")
@click.option("--resume", is_flag=True, help="Continue the run in --out from its last checkpoint.")
@click.option(
    "--start-from", type=click.Path(path_type=Path), help="Weights to begin with: a checkpoint or weight file."
)
@click.option("--minutes", type=float, help="Stop after this long, with a checkpoint.")
def train(
    model: str | None,
    preset: str | None,
    data: tuple[str, ...],
    out: Path,
    configs: tuple[str, ...],
    settings: tuple[str, ...],
    resume: bool,
    start_from: Path | None,
    minutes: float | None,
) -> None:
    """Train MODEL (lmspt, speechtokenizer-style, or MODULE:FUNCTION of your own).

    \b
    codecbench train lmspt --preset mini-12.5hz --data LibriSpeech/train-clean-100,dev_speakers=20 --out runs/mini
    codecbench train --resume --out runs/mini
    torchrun --nproc-per-node 8 -m codecbench train lmspt --preset paper-12.5hz --data ... --out ...
    """
    base = out / "config.toml"
    has_run = (out / "checkpoints").is_dir() and any((out / "checkpoints").glob("step-*"))
    if resume and not base.is_file():
        raise UsageError(f"--resume: no run in {out} (no config.toml)")
    if not resume and has_run:
        raise UsageError(f"{out} already holds a run; continue it with --resume, or choose another --out")
    if not resume and not (model and preset):
        raise UsageError("give MODEL and --preset, for example: codecbench train lmspt --preset mini-12.5hz ...")
    config = resolve(model, preset, data, configs, settings, base if resume else None)
    from codecbench_train.loop import train as run_training

    run_training(config, out, resume=resume, minutes=minutes, start_from=start_from)
