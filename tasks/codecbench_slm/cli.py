"""``codecbench slm prepare | train | eval | compare``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from codecbench.cli.common import host_with, plugin_option, split_names
from codecbench.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from codecbench.plugins import PluginHost
    from codecbench.runner.progress import Progress
    from codecbench_slm.config import SlmConfig
    from codecbench_slm.encoding import Workplace

CONFIG_DIR = Path(__file__).parent / "configs"
F = TypeVar("F", bound=Callable[..., Any])

_DATA = "Manifest or folder with texts: PATH[,dev=40][,test=100]."
data_option = click.option("--data", multiple=True, metavar="PATH", help=_DATA)
out_option = click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, metavar="DIR")
store_option = click.option(
    "--store", type=click.Path(path_type=Path), metavar="DIR", help="Share a store of tokens; OUT/store if not given."
)
device_option = click.option("--device", default="cpu", show_default=True, help="Where codecs and generation run.")
codec_set_option = click.option(
    "--codec-set", "codec_options", multiple=True, metavar="OWNER.OPTION=VALUE", help="An option of a codec."
)
scorer_set_option = click.option(
    "--score-set", "score_settings", multiple=True, metavar="OWNER.OPTION=VALUE", help="An option of a scorer."
)
recognizer_option = click.option("--recognizer", "recognizers", multiple=True, metavar="NAMES", help="For TTS WER.")
limit_option = click.option("--limit", type=click.IntRange(1), metavar="N", help="Only N test utterances.")


def config_options(command: F) -> F:
    """Add ``--config`` and ``--set``."""
    command = click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="As model.width=128.")(command)
    return click.option("--config", "configs", multiple=True, help="A TOML file, or the name of one in the package.")(
        command
    )


def shipped_configs() -> tuple[str, ...]:
    """Names of the configurations in the package."""
    return tuple(sorted(path.stem for path in CONFIG_DIR.glob("*.toml")))


def resolve(
    configs: Sequence[str],
    settings: Sequence[str],
    data: Sequence[str],
    codec: str = "",
    codec_options: Sequence[str] = (),
    base: Path | None = None,
) -> SlmConfig:
    """The configuration: the resumed run's, then ``--config`` files, then options, then ``--set``."""
    from codecbench_slm.config import SlmConfig
    from codecbench_train.cli import data_tables
    from codecbench_train.toml import build, merge, read_tables, settings_tables

    tables: dict[str, Any] = read_tables(base) if base else {}
    for name in configs:
        tables = merge(tables, read_tables(_find(name)))
    if data:
        tables = merge(tables, {"data": {"sources": data_tables(data)}})
    if codec:
        tables = merge(tables, {"codec": codec})
    if codec_options:
        tables = merge(tables, {"codec_options": list(codec_options)})
    return build(SlmConfig, merge(tables, settings_tables(settings)))


def _find(name: str) -> Path:
    path = Path(name)
    if path.suffix == ".toml" or path.is_file():
        return path
    if name not in shipped_configs():
        raise unknown_name("configuration of a speech language model", name, shipped_configs())
    return CONFIG_DIR / f"{name}.toml"


def workplace(
    out: Path, store: Path | None, device: str, plugin_files: Sequence[Path], progress: Progress
) -> Workplace:
    """Where tokens are made and kept."""
    from codecbench_slm.encoding import Workplace

    host: PluginHost = host_with(tuple(plugin_files))
    return Workplace(host, store or out / "store", device, tuple(plugin_files), progress)


@click.group("slm")
def slm_command() -> None:
    """Speech language models on the tokens of codecs: speech-to-text and text-to-speech (docs/slm.md).

    \b
    codecbench slm compare --codecs lmspt:25hz,lmspt --config small --data speech.jsonl,dev=40,test=100 --out runs/slm
    """


@slm_command.command("prepare")
@click.option("--codecs", multiple=True, required=True, metavar="NAMES", help="By commas.")
@data_option
@out_option
@config_options
@store_option
@device_option
@codec_set_option
@plugin_option
def prepare_command(
    codecs: tuple[str, ...],
    data: tuple[str, ...],
    out: Path,
    configs: tuple[str, ...],
    settings: tuple[str, ...],
    store: Path | None,
    device: str,
    codec_options: tuple[str, ...],
    plugin_files: tuple[Path, ...],
) -> int:
    """Encode the data with each codec into the store; what it holds is not encoded again."""
    from codecbench.runner.progress import RichProgress
    from codecbench_slm.corpus import read_sources
    from codecbench_slm.encoding import encode
    from codecbench_slm.speech import SpeechFormat

    failed = 0
    with RichProgress() as progress:
        place = workplace(out, store, device, plugin_files, progress)
        for name in split_names(codecs):
            config = resolve(configs, settings, data, name, codec_options)
            config.check()
            utterances = read_sources(place.host.registry, config.data).everything
            encodings = encode(place, config, utterances)
            made = [encoded for u in utterances if (encoded := encodings.get(u)) is not None]
            speech = SpeechFormat.of(encodings.prepared.label, encodings.prepared.spec, made[0] if made else None)
            failed += len(utterances) - len(made)
            progress.message(
                f"{speech.codec}: {len(made)} of {len(utterances)} utterances, {speech.frame_rate_hz:g} Hz, codebooks "
                f"of {', '.join(map(str, speech.codebook_sizes))}"
            )
            for identifier, reason in list(encodings.failures().items())[:10]:
                progress.message(f"  {identifier}: {reason}")
    return 3 if failed else 0


@slm_command.command("train")
@click.option("--codec", default="", metavar="NAME", help="family[:variant][@codebooks][/mode]")
@data_option
@out_option
@config_options
@click.option("--resume", is_flag=True, help="Continue the run in --out from its last checkpoint.")
@click.option("--minutes", type=float, help="Stop after this long, with a checkpoint.")
@store_option
@device_option
@codec_set_option
@plugin_option
def train_command(
    codec: str,
    data: tuple[str, ...],
    out: Path,
    configs: tuple[str, ...],
    settings: tuple[str, ...],
    resume: bool,
    minutes: float | None,
    store: Path | None,
    device: str,
    codec_options: tuple[str, ...],
    plugin_files: tuple[Path, ...],
) -> int:
    """Train a speech language model on the tokens of one codec.

    \b
    codecbench slm train --codec lmspt:25hz --config small --data speech.jsonl,dev=40,test=100 --out runs/lmspt-25hz
    codecbench slm train --resume --out runs/lmspt-25hz
    torchrun --nproc-per-node 8 -m codecbench slm train --codec mimi@8 --config paper --data … --out …
    """
    from codecbench.runner.progress import Quiet
    from codecbench_slm.trained import CONFIG, is_finished

    has_run = (out / "checkpoints").is_dir() and any((out / "checkpoints").glob("step-*"))
    if resume and not (out / CONFIG).is_file():
        raise UsageError(f"--resume: no run in {out} (no {CONFIG})")
    if not resume and (has_run or is_finished(out)):
        raise UsageError(f"{out} already holds a run; continue it with --resume, or choose another --out")
    config = resolve(configs, settings, data, codec, codec_options, out / CONFIG if resume else None)
    config.check()
    place = workplace(out, store, device, plugin_files, Quiet())
    from codecbench_slm.train import train

    return 0 if train(config, out, place, resume=resume, minutes=minutes).finished else 3


@slm_command.command("eval")
@click.argument("models", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--data", multiple=True, metavar="PATH", help="Test on this instead of what training held out.")
@out_option
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="As generation.temperature=0.")
@recognizer_option
@limit_option
@store_option
@device_option
@scorer_set_option
@plugin_option
def eval_command(
    models: tuple[Path, ...],
    data: tuple[str, ...],
    out: Path,
    settings: tuple[str, ...],
    recognizers: tuple[str, ...],
    limit: int | None,
    store: Path | None,
    device: str,
    score_settings: tuple[str, ...],
    plugin_files: tuple[Path, ...],
) -> None:
    """Judge trained MODELS by what they write and say; models of one codec with different seeds become one row."""
    from codecbench.runner.progress import RichProgress
    from codecbench_slm.evaluate import EvalRequest, evaluate
    from codecbench_slm.trained import CONFIG

    generation = resolve((), settings, (), base=models[0] / CONFIG).generation if settings else None
    command = ("codecbench", *sys.argv[1:])
    request = EvalRequest(data, split_names(recognizers), score_settings, generation, limit, command)
    with RichProgress() as progress:
        place = workplace(out, store, device, plugin_files, progress)
        evaluate(models, out, place, request)
    _report(place, out)


@slm_command.command("compare")
@click.option("--codecs", multiple=True, required=True, metavar="NAMES", help="By commas.")
@data_option
@out_option
@config_options
@click.option("--seeds", default="0", show_default=True, metavar="N,N", help="Training seeds.")
@recognizer_option
@limit_option
@store_option
@device_option
@codec_set_option
@scorer_set_option
@plugin_option
def compare_command(
    codecs: tuple[str, ...],
    data: tuple[str, ...],
    out: Path,
    configs: tuple[str, ...],
    settings: tuple[str, ...],
    seeds: str,
    recognizers: tuple[str, ...],
    limit: int | None,
    store: Path | None,
    device: str,
    codec_options: tuple[str, ...],
    score_settings: tuple[str, ...],
    plugin_files: tuple[Path, ...],
) -> int:
    """Train and judge one model for each codec and seed with the same budget, and write the table.

    The same command goes on from where it was stopped. Models trained elsewhere (torchrun) are found in
    OUT/models/CODEC/seed-N.
    """
    from codecbench.runner.progress import RichProgress
    from codecbench_slm.compare import compare, plan
    from codecbench_slm.evaluate import EvalRequest

    names = split_names(codecs)
    base = resolve(configs, settings, data, names[0], codec_options)
    base.check()
    request = EvalRequest((), split_names(recognizers), score_settings, None, limit, ("codecbench", *sys.argv[1:]))
    with RichProgress() as progress:
        place = workplace(out, store, device, plugin_files, progress)
        comparison = plan(base, names, _seeds(seeds), out, place)
        for line in comparison.unavailable:
            progress.message(line)
    # Training shows a bar of its own.
    from codecbench.runner.progress import Quiet

    finished = compare(comparison, out, replace(place, progress=Quiet()), request, click.echo)
    if finished:
        _report(place, out / "results")
    return 0 if finished and not comparison.unavailable else 3


def _seeds(text: str) -> tuple[int, ...]:
    try:
        return tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError as error:
        raise UsageError(f"--seeds {text}: give whole numbers by commas") from error


def _report(place: Workplace, folder: Path) -> None:
    """Write the table and the ordinary tables, and print where they are."""
    from codecbench.reporting import write_reports

    written, _ = write_reports(place.host.registry, [folder], folder, ("slm", "tables"), tell=click.echo)
    table = next(path for path in written if path.name == "slm.md")
    click.echo(table.read_text("utf-8"))
    for path in written:
        click.echo(path)
