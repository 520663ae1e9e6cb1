#!/usr/bin/env python3
"""Speak matrix sentences with flite: the data of small speech language models, as 16 kHz mono FLAC with a manifest.

    python scripts/make_matrix_speech.py --out data/matrix --hours 2

Fifty words, one voice, and no word that follows from the others: what a model writes it has heard, and what it is
asked to say it has to read. Needs `flite`. A stopped run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "plugins")]

from speechdata.audio import Limits  # noqa: E402
from speechdata.records import SpeechDataError, write_manifest  # noqa: E402
from speechdata.synthesis import FLITE_VOICES, flite_voices, synthesize  # noqa: E402
from speechdata.texts import MATRIX_FILE, grammar_sentences, load_grammar  # noqa: E402

NAME = "matrix"
SEED = 0


def main() -> int:
    """Speak, and write the manifest; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for audio and manifest")
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--voices", nargs="+", default=["rms"], choices=FLITE_VOICES)
    arguments = parser.parse_args()
    sentences = grammar_sentences(load_grammar(MATRIX_FILE), SEED)
    voices = flite_voices(arguments.voices)
    spoken = synthesize(voices, NAME, lambda _: next(sentences), arguments.out / NAME, 3600 * arguments.hours, Limits())
    try:
        count = write_manifest(arguments.out / f"{NAME}.jsonl", spoken)
    except SpeechDataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{count} sentences in {arguments.out / NAME}.jsonl")
    return 0


if __name__ == "__main__":
    sys.exit(main())
