#!/usr/bin/env python3
"""Prepare the training data of the shipped weights from distribution packages, as 16 kHz mono FLAC with manifests.

    python scripts/prepare_training_data.py --out data/training --speech-dir ../shared/speech --install

`--install` first installs the packages (as root). Each source gets a folder and a manifest (`SOURCE.jsonl`); the
20 readers of `dev.jsonl` are taken out of the read English. Held-out speakers never get in, and the script stops
if one does. A stopped run goes on where it stopped. Sources, licences and hours: docs/training_data.md.
"""

from __future__ import annotations

import argparse
import functools
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "plugins")]

from speechdata.asterisk import VOICES  # noqa: E402
from speechdata.audio import Limits  # noqa: E402
from speechdata.kokoro import Kokoro, fetch_kokoro  # noqa: E402
from speechdata.prepare import Report, prepare  # noqa: E402
from speechdata.records import SpeechDataError, Utterance, read_manifest, write_manifest  # noqa: E402
from speechdata.sources import (  # noqa: E402
    STAMPS_PACKAGE,
    Clip,
    asterisk_clips,
    fillets_clips,
    read_english_clips,
    tuxpaint_clips,
)
from speechdata.splits import FIXED_HELD_OUT_SPEAKERS, PERHAPS_HELD_OUT_SPEAKERS, check_no_overlap, choose_dev_speakers  # noqa: E402
from speechdata.synthesis import Voice, english_texts, festival_voices, flite_voices, kokoro_voices, synthesize  # noqa: E402
from speechdata.texts import BIBLE_PACKAGES, STATE_PAPERS_PACKAGE  # noqa: E402

HOUR = 3600.0
VOICE_SEED = 0
SYNTHESIS_PACKAGES = ["flite", "festival", "festvox-us-slt-hts", "espeak-ng", STATE_PAPERS_PACKAGE, *BIBLE_PACKAGES]
RECORDING_PACKAGES = ["fillets-ng-data", "fillets-ng-data-cs", "fillets-ng-data-nl", STAMPS_PACKAGE]


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for audio and manifests")
    parser.add_argument("--speech-dir", type=Path, default=ROOT.parent / "shared" / "speech", help="read English")
    parser.add_argument("--install", action="store_true", help="install and download the packages first (needs root)")
    parser.add_argument(
        "--include-spanish",
        action="store_true",
        help="add Asterisk Spanish, whose speaker is that of the held-out Asterisk English (such weights must not be "
        "scored on Asterisk English)",
    )
    parser.add_argument("--flite-hours", type=float, default=0.5, help="synthetic English, four voices")
    parser.add_argument("--festival-hours", type=float, default=0.25, help="synthetic English, one voice")
    parser.add_argument("--kokoro-hours", type=float, default=1.5, help="synthetic English, 75 voices and mixtures")
    parser.add_argument("--only", nargs="+", metavar="SOURCE", help="prepare these sources only; keep the others")
    return parser.parse_args(argv)


def languages(arguments: argparse.Namespace) -> list[str]:
    """The Asterisk languages to train on."""
    return ["fr", "it", "ru", *(["es"] if arguments.include_spanish else [])]


def recorded_sources(arguments: argparse.Namespace) -> dict[str, Callable[[], Iterable[Clip]]]:
    """Real speech by the name of the source."""
    sources: dict[str, Callable[[], Iterable[Clip]]] = {
        f"asterisk-{language}": functools.partial(asterisk_clips, language) for language in languages(arguments)
    }
    for language in ("cs", "nl"):
        sources[f"fillets-{language}"] = functools.partial(fillets_clips, language)
    sources["tuxpaint"] = tuxpaint_clips
    sources["read-english"] = functools.partial(training_readers, arguments.speech_dir)
    return sources


def training_readers(speech_dir: Path) -> Iterator[Clip]:
    """The clips of the read English for training and dev, without readers who may be a held-out speaker."""
    return (c for c in read_english_clips(speech_dir, "train") if c.speaker not in PERHAPS_HELD_OUT_SPEAKERS)


def synthetic_sources(arguments: argparse.Namespace) -> dict[str, tuple[float, Callable[[], list[Voice]]]]:
    """Synthetic speech by the name of the source: seconds wanted and the voices; nought leaves a source out."""

    def kokoro() -> list[Voice]:
        return kokoro_voices(Kokoro(fetch_kokoro(arguments.out / "cache", download=arguments.install)), VOICE_SEED)

    sources = {
        "festival": (arguments.festival_hours * HOUR, festival_voices),
        "flite": (arguments.flite_hours * HOUR, flite_voices),
        "kokoro": (arguments.kokoro_hours * HOUR, kokoro),
    }
    return {name: source for name, source in sources.items() if source[0] > 0}


def install(arguments: argparse.Namespace) -> None:
    """Install the Debian packages of every source."""
    asterisk = [package for language in languages(arguments) for package in VOICES[language].packages]
    packages = [*asterisk, *RECORDING_PACKAGES, *SYNTHESIS_PACKAGES]
    subprocess.run(["apt-get", "install", "-y", "--no-install-recommends", *packages], check=True)


def write_recorded(name: str, clips: Iterable[Clip], arguments: argparse.Namespace) -> None:
    """Prepare one source of real speech; of the read English, the readers of dev go into a manifest of their own."""
    report = Report()
    utterances = prepare(name, clips, arguments.out, Limits(), report)
    if name == "read-english":
        dev = choose_dev_speakers(u.speaker for u in utterances)
        write_manifest(arguments.out / "dev.jsonl", [u for u in utterances if u.speaker in dev])
        utterances = [u for u in utterances if u.speaker not in dev]
    write_manifest(arguments.out / f"{name}.jsonl", utterances)
    print(f"{name}: {report.kept} clips kept, left out: {dict(report.left_out) or 'none'}", flush=True)


def write_synthetic(name: str, seconds: float, voices: list[Voice], out: Path) -> None:
    """Prepare one source of synthetic speech."""
    utterances = []
    for utterance in synthesize(voices, name, english_texts(name), out / name, seconds, Limits()):
        utterances.append(utterance)
        if len(utterances) % 100 == 0:
            print(f"{name}: {sum(u.seconds for u in utterances):.0f} of {seconds:.0f} s", flush=True)
    write_manifest(out / f"{name}.jsonl", utterances)


def check_and_summarise(arguments: argparse.Namespace) -> None:
    """Check that no speaker is in two parts, and print the hours of every manifest in the folder."""
    train: list[Utterance] = []
    dev: list[Utterance] = []  # none where ``--only`` leaves the read English out
    print(f"{'source':<16}{'utterances':>11}{'speakers':>10}{'hours':>8}")
    for path in sorted(arguments.out.glob("*.jsonl")):
        utterances = read_manifest(path)
        (dev if path.stem == "dev" else train).extend(utterances)
        hours = sum(u.seconds for u in utterances) / HOUR
        print(f"{path.stem:<16}{len(utterances):>11}{len({u.speaker for u in utterances}):>10}{hours:>8.3f}")
    held_out = {clip.speaker for clip in read_english_clips(arguments.speech_dir, "heldout")}
    held_out |= FIXED_HELD_OUT_SPEAKERS | PERHAPS_HELD_OUT_SPEAKERS
    if arguments.include_spanish:
        held_out -= {VOICES["es"].speaker}
        print("note: Asterisk Spanish is in: these data's models must not be scored on Asterisk English.")
    check_no_overlap((u.speaker for u in train), (u.speaker for u in dev), held_out)
    print(f"training: {sum(u.seconds for u in train) / HOUR:.3f} h; no speaker is in two of training, dev, held-out.")


def main() -> int:
    """Prepare every source; returns the exit status."""
    arguments = parse_arguments()
    if arguments.install:
        install(arguments)
    wanted = set(arguments.only or [*recorded_sources(arguments), *synthetic_sources(arguments)])
    try:
        for name, clips in recorded_sources(arguments).items():
            if name in wanted:
                write_recorded(name, clips(), arguments)
        for name, (seconds, voices) in synthetic_sources(arguments).items():
            if name in wanted:
                write_synthetic(name, seconds, voices(), arguments.out)
        check_and_summarise(arguments)
    except SpeechDataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
