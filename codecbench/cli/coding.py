"""``codecbench encode`` and ``codecbench decode``: audio files into token files and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import click

from codecbench.audio.suffixes import AUDIO_SUFFIXES
from codecbench.cli.common import host_with, plugin_option, set_option
from codecbench.errors import BadInput, CodecbenchError, UsageError

_INPUTS = click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path))
_OUT = click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write to.")
_DEVICE = click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1 ….")


@click.command("encode")
@_INPUTS
@click.option("--codec", required=True, metavar="NAME", help="family[:variant][@codebooks]")
@_OUT
@_DEVICE
@set_option
@plugin_option
def encode_command(
    inputs: tuple[Path, ...],
    codec: str,
    out: Path,
    device: str,
    settings: tuple[str, ...],
    plugin_files: tuple[Path, ...],
) -> int:
    """Encode audio files, or all audio below folders, into packed token files (*.cbt)."""
    import torch

    from codecbench.audio.reading import read_audio
    from codecbench.audio.resample import resample
    from codecbench.contracts.audio import Utterance
    from codecbench.contracts.encoded import Tokens
    from codecbench.hashing import digest
    from codecbench.loading import load, prepare
    from codecbench.options import parse_settings
    from codecbench.runner.batching import collate_audio, moved, moved_batch
    from codecbench.store.packing import pack
    from codecbench.store.token_file import SUFFIX, TokenFile, write_token_file

    prepared = prepare(host_with(plugin_files).registry, codec, parse_settings(settings), device)
    model, spec = load(prepared, device), prepared.spec
    identity, codebooks = digest(dict(prepared.encode_identity)), prepared.resolved.name.codebooks

    def act(source: Path, target: Path) -> None:
        utterance = Utterance(source.stem, source)
        audio, rate_hz = read_audio(utterance)
        rate = spec.sample_rate_hz or rate_hz
        batch = collate_audio([resample(audio, rate_hz, rate)], rate, [utterance])
        with torch.inference_mode():
            encoded = moved(model.encode(moved_batch(batch, device)), "cpu").row(0)
        if codebooks is not None and isinstance(encoded, Tokens):
            encoded = encoded.truncated(codebooks)
        packed = pack(encoded)
        if packed is None:
            raise UsageError(f"codec '{spec.full_name}' codes nothing: there are no tokens to write")
        write_token_file(target, TokenFile(spec.full_name, spec.version, identity, rate, packed))

    return _each(_pairs(inputs, AUDIO_SUFFIXES, out, SUFFIX), act, "encode")


@click.command("decode")
@_INPUTS
@_OUT
@click.option("--codebooks", type=click.IntRange(1), metavar="K", help="Decode from the first K codebooks.")
@click.option("--mode", default="full", show_default=True, help="Decode mode, as after / in a codec name.")
@_DEVICE
@set_option
@plugin_option
def decode_command(
    inputs: tuple[Path, ...],
    out: Path,
    codebooks: int | None,
    mode: str,
    device: str,
    settings: tuple[str, ...],
    plugin_files: tuple[Path, ...],
) -> int:
    """Decode token files, or all token files below folders, into WAV (float, so that nothing is lost)."""
    import soundfile
    import torch

    from codecbench.contracts.codec import Codec
    from codecbench.contracts.encoded import Tokens
    from codecbench.hashing import digest
    from codecbench.loading import load, prepare
    from codecbench.options import parse_settings
    from codecbench.runner.batching import moved
    from codecbench.store.token_file import SUFFIX, read_token_file

    registry, given = host_with(plugin_files).registry, parse_settings(settings)
    models: dict[str, tuple[Codec, str]] = {}

    def act(source: Path, target: Path) -> None:
        content = read_token_file(source)
        if content.codec not in models:
            prepared = prepare(registry, content.codec, given, device)
            models[content.codec] = load(prepared, device), digest(dict(prepared.encode_identity))
        model, identity = models[content.codec]
        if identity != content.identity:
            click.echo(f"note: {source} was made by another version, weights or options of {content.codec}", err=True)
        encoded = content.encoded
        if codebooks is not None and isinstance(encoded, Tokens):
            encoded = encoded.truncated(codebooks)
        if model.spec.mode(mode) is None:
            names = ", ".join(m.name for m in model.spec.decode_modes)
            raise UsageError(f"--mode {mode}: codec '{content.codec}' decodes by {names}")
        with torch.inference_mode():
            waves = model.decode(moved(encoded, device), mode)
        samples = waves.row(0).float().cpu().numpy()
        temporary = target.with_name(f".{target.name}.tmp")
        soundfile.write(str(temporary), samples, waves.sample_rate_hz, format="WAV", subtype="FLOAT")
        temporary.replace(target)

    return _each(_pairs(inputs, frozenset({SUFFIX}), out, ".wav"), act, "decode")


def _pairs(inputs: Sequence[Path], suffixes: frozenset[str], out: Path, suffix: str) -> list[tuple[Path, Path]]:
    """Return (source, target) for each file given or found below a folder, whose layout is kept."""
    pairs: list[tuple[Path, Path]] = []
    for given in inputs:
        if given.is_dir():
            found = sorted(p for p in given.rglob("*") if p.suffix.lower() in suffixes and p.is_file())
            pairs += [(p, (out / p.relative_to(given)).with_suffix(suffix)) for p in found]
        elif given.is_file():
            pairs.append((given, out / f"{given.stem}{suffix}"))
        else:
            raise UsageError(f"{given}: no such file or folder")
    if not pairs:
        raise UsageError(f"nothing to do: no files with {', '.join(sorted(suffixes))} below {inputs[0]}")
    targets = [target for _, target in pairs]
    if len(set(targets)) < len(targets):
        twice = next(t for t in targets if targets.count(t) > 1)
        raise UsageError(f"two inputs would both be written to {twice}; give them to separate commands")
    return pairs


def _each(pairs: Iterable[tuple[Path, Path]], act: Callable[[Path, Path], None], what: str) -> int:
    """Act on each file with a progress bar; what fails is told and the rest goes on (exit code 3)."""
    from rich.console import Console
    from rich.progress import track

    failed = 0
    for source, target in track(list(pairs), description=what, console=Console(stderr=True)):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            act(source, target)
        except UsageError:
            raise
        except (BadInput, OSError) as error:
            failed += 1
            click.echo(f"{what} {source}: {error}", err=True)
        except CodecbenchError:
            raise
        except Exception as error:  # a codec's fault with one file must not cost the others
            failed += 1
            click.echo(f"{what} {source}: {type(error).__name__}: {error}", err=True)
    return 3 if failed else 0
