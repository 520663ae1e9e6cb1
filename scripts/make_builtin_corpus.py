#!/usr/bin/env python3
"""Make the built-in corpus and the list of the Asterisk evaluation prompts from Debian packages.

    python scripts/make_builtin_corpus.py --install

`--install` first runs `apt-get install` for the packages (as root). The samples are those of the packages,
decoded without resampling and stored losslessly; the texts are theirs with the corrections of
`speechdata/asterisk_en_corrections.json`. Run again, it writes the same samples and texts.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "plugins")]

from speechdata.asterisk import VOICES  # noqa: E402
from speechdata.asterisk_en import evaluation_prompts, write_prompts  # noqa: E402
from speechdata.builtin import LIBRIVOX_PACKAGE, builtin_selection  # noqa: E402
from speechdata.records import SpeechDataError, write_manifest  # noqa: E402

DATA = ROOT / "plugins" / "codecbench_corpora" / "data"
PACKAGES = [LIBRIVOX_PACKAGE, *(p for language in ("en", "fr", "it", "ru") for p in VOICES[language].packages)]


def main() -> int:
    """Write both data sets; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--install", action="store_true", help="install the Debian packages first (needs root)")
    parser.add_argument("--out", type=Path, default=DATA, help="the data folder of the corpora plugin")
    arguments = parser.parse_args()
    if arguments.install:
        subprocess.run(["apt-get", "install", "-y", "--no-install-recommends", *PACKAGES], check=True)
    try:
        utterances = [selected.write(arguments.out / "builtin") for selected in builtin_selection()]
        write_manifest(arguments.out / "builtin" / "manifest.jsonl", utterances)
        prompts = write_prompts(arguments.out / "asterisk_en.jsonl", evaluation_prompts())
    except SpeechDataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    speakers = {utterance.speaker for utterance in utterances}
    seconds = sum(utterance.seconds for utterance in utterances)
    print(f"built-in corpus: {len(utterances)} utterances, {seconds:.1f} s, {len(speakers)} speakers")
    print(f"asterisk-en: {prompts} prompts")
    return 0


if __name__ == "__main__":
    sys.exit(main())
