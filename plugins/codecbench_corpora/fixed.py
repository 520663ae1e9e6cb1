"""The corpora with a name: the built-in one, and the Asterisk English prompts of the Debian package."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from codecbench import Corpus, Unavailable, Utterance
from codecbench.cache import cache_folder
from codecbench_corpora import DATA
from codecbench_corpora.manifest import open_manifest

_FEW_SPEAKERS = "few speakers: results do not extend to other speakers"


def open_builtin() -> Corpus:
    """Open the corpus that comes with the package: real speech with transcripts, in four languages."""
    corpus = open_manifest(DATA / "builtin" / "manifest.jsonl", name="builtin")
    return replace(corpus, notes=(_FEW_SPEAKERS,))


def open_asterisk(sounds: Path) -> Corpus:
    """Open the 197 English prompts, decoded once from G.722 into the cache.

    Raises Unavailable where the Debian package is not installed.
    """
    rows = [json.loads(line) for line in (DATA / "asterisk_en.jsonl").read_text("utf-8").splitlines()]
    if not (sounds / rows[0]["path"]).is_file():
        raise Unavailable(
            f"the Asterisk English prompts are not below {sounds}",
            "apt-get install asterisk-core-sounds-en-g722, or --set asterisk-en.sounds=FOLDER",
        )
    target = cache_folder() / "asterisk-en"

    def walk() -> Iterator[Utterance]:
        for row in rows:
            audio = _decoded(sounds / row["path"], target / f"{row['id'].replace('/', '-')}.flac")
            yield Utterance(row["id"], audio, row["text"], "asterisk-allison", "en")

    return Corpus("asterisk-en", walk, len(rows), ("one speaker: results do not extend to other speakers",))


def _decoded(source: Path, target: Path) -> Path:
    """Decode one prompt into the cache, whole or not at all."""
    if not target.is_file():
        import soundfile

        from codecbench_corpora.g722 import G722_SAMPLE_RATE_HZ, decode_g722

        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_suffix(".tmp")
        soundfile.write(str(temporary), decode_g722(source), G722_SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16")
        temporary.replace(target)
    return target
