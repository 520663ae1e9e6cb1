"""Recordings of real people in distribution packages and in a folder of read English, as clips to be prepared."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path

from .asterisk import VOICES, prompt_files, prompt_texts
from .builtin import OTHER_PROMPTS
from .records import SpeechDataError

FILLETS_ROOT = Path("/usr/share/games/fillets-ng")
STAMPS_ROOT = Path("/usr/share/tuxpaint/stamps")
STAMPS_PACKAGE = "tuxpaint-stamps-default"
# Files named with a gender are all that tells the two fish, the main characters, from the many others.
_FISH = {"m": "small-fish", "v": "big-fish"}
_DIALOG = re.compile(r'dialogId\("([^"]+)".*?\)\s*dialogStr\("((?:[^"\\]|\\.)*)"\)', re.DOTALL)
_STAMP = re.compile(r"(?P<stem>.+)_desc(?:_(?P<language>[a-z]{2}(?:_[A-Z]{2})?))?\.(?:ogg|wav)$")


@dataclasses.dataclass(frozen=True)
class Clip:
    """One recording as it lies in its package, before conversion."""

    id: str
    path: Path
    text: str | None
    speaker: str
    language: str
    licence: str
    source: str


def asterisk_clips(language: str) -> Iterator[Clip]:
    """The Asterisk prompts of one language that have a text (tones have none), but for those of the built-in corpus."""
    voice = VOICES[language]
    texts, files = prompt_texts(voice), prompt_files(voice)
    for prompt_id in sorted((texts.keys() & files.keys()) - set(OTHER_PROMPTS.get(language, ()))):
        # The packages carry a few files without content.
        if files[prompt_id].stat().st_size:
            yield Clip(
                id=f"asterisk-{language}-{prompt_id.replace('/', '-')}",
                path=files[prompt_id],
                text=texts[prompt_id],
                speaker=voice.speaker,
                language=language,
                licence=voice.licence,
                source=f"Debian {voice.packages[0]}: {voice.folder}/{prompt_id}.g722",
            )


def parse_dialogs(script: str) -> dict[str, str]:
    """The lines of dialogue in one of the game's Lua files, by id."""
    return {key: re.sub(r"\\(.)", r"\1", text) for key, text in _DIALOG.findall(script)}


def fillets_clips(language: str, root: Path = FILLETS_ROOT) -> Iterator[Clip]:
    """The dialogue of the game Fish Fillets; sounds without a line of dialogue are effects and are left out."""
    package = f"fillets-ng-data-{language}"
    recordings = sorted(root.glob(f"sound/*/{language}/*.ogg"))
    if not recordings:
        raise SpeechDataError(
            f"No {language} dialogue in {root}. Install it: apt-get install fillets-ng-data {package}"
        )
    dialogs: dict[str, dict[str, str]] = {}
    for path in recordings:
        level = path.parent.parent.name
        if level not in dialogs:
            script = root / "script" / level / f"dialogs_{language}.lua"
            dialogs[level] = parse_dialogs(script.read_text(encoding="utf-8")) if script.is_file() else {}
        if text := dialogs[level].get(path.stem):
            parts = path.stem.split("-")
            yield Clip(
                id=f"fillets-{language}-{level}-{path.stem}",
                path=path,
                text=text,
                speaker=f"fillets-{language}-{_FISH.get(parts[1], 'others') if len(parts) > 1 else 'others'}",
                language=language,
                licence="GPL-2.0",
                source=f"Debian {package}: {path.relative_to(root).as_posix()}",
            )


def stamp_text(description: str, language: str) -> str | None:
    """The description of a picture in one language: English is the first line, the others are `LANG.utf8=` lines."""
    lines = description.splitlines()
    if language == "en":
        return lines[0].strip() if lines else None
    prefix = f"{language}.utf8="
    return next((line.removeprefix(prefix).strip() for line in lines if line.startswith(prefix)), None)


def tuxpaint_clips(root: Path = STAMPS_ROOT) -> Iterator[Clip]:
    """The spoken descriptions (`*_desc*`) of Tux Paint's stamps; one speaker id a language, for none is named."""
    recordings = sorted(p for p in root.rglob("*_desc*") if p.suffix in (".ogg", ".wav"))
    if not recordings:
        raise SpeechDataError(f"No descriptions in {root}. Install them with: apt-get install {STAMPS_PACKAGE}")
    seen = set()
    for path in recordings:
        match = _STAMP.fullmatch(path.as_posix())
        if match is None:
            continue
        language = match["language"] or "en"
        relative = path.relative_to(root)
        clip_id = f"tuxpaint-{language}-" + Path(match["stem"]).relative_to(root).as_posix().replace("/", "-")
        if clip_id in seen:
            continue
        seen.add(clip_id)
        description = Path(match["stem"] + ".txt")
        text = stamp_text(description.read_text("utf-8", "replace"), language) if description.is_file() else None
        source = f"Debian {STAMPS_PACKAGE}: {relative.as_posix()}"
        yield Clip(clip_id, path, text, f"tuxpaint-{language}", language.lower(), "GPL-2.0", source)


def read_english_clips(folder: Path, split: str) -> Iterator[Clip]:
    """One split (`train` or `heldout`) of the folder of read English; raises `SpeechDataError` where it is missing.

    The human reference is the text; a recogniser's output is not taken as one.
    """
    manifest = folder / "manifest.jsonl"
    if not manifest.is_file():
        raise SpeechDataError(f"{manifest} is missing. Give the folder of read English with --speech-dir.")
    for line in manifest.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if entry["split"] == split:
            yield Clip(
                id=entry["id"],
                path=folder.parent / entry["file"],
                text=entry["text"],
                speaker=entry["speaker"],
                language=entry["language"],
                licence=entry["licence"],
                source=entry["source"],
            )
