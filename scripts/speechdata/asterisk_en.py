"""The evaluation list of Asterisk English: which prompts, and what is said in them."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from .asterisk import SOUNDS_ROOT, VOICES, Voice, prompt_files, prompt_texts
from .records import SAMPLE_RATE_HZ, SpeechDataError

CORRECTIONS_FILE = Path(__file__).with_name("asterisk_en_corrections.json")
MIN_WORDS = 4
MIN_SECONDS = 2.0
# Raw G.722 at 64 kbit/s: two samples a byte.
_BYTES_PER_SECOND = SAMPLE_RATE_HZ // 2
_ELLIPSIS = re.compile(r"\s*\.\.\.\s*|\s+\.(?=\s|$)")


@dataclasses.dataclass(frozen=True)
class Correction:
    """Replacements in one prompt's text, with the reason for them."""

    replace: tuple[tuple[str, str], ...]
    note: str


@dataclasses.dataclass(frozen=True)
class Prompt:
    """One prompt of the evaluation list; `path` is relative to the folder of the installed sounds."""

    id: str
    path: str
    text: str
    text_note: str | None = None

    def to_json(self) -> str:
        """One JSON object on one line, without `text_note` where the package's words stand."""
        fields = {k: v for k, v in dataclasses.asdict(self).items() if v is not None}
        return json.dumps(fields, ensure_ascii=False)


def load_corrections(path: Path = CORRECTIONS_FILE) -> dict[str, Correction]:
    """The committed corrections by prompt id."""
    entries = json.loads(path.read_text(encoding="utf-8"))
    return {key: Correction(tuple(entry["replace"].items()), entry["note"]) for key, entry in entries.items()}


def strip_ellipses(text: str) -> str:
    """Remove `...` and stray full stops, which are no speech and survive the normalisers of WER."""
    return " ".join(_ELLIPSIS.sub(" ", text).split())


def correct_text(prompt_id: str, text: str, corrections: Mapping[str, Correction]) -> tuple[str, str | None]:
    """The corrected text and the note on it (None where only punctuation was touched).

    Raises: `SpeechDataError` where a correction does not apply, so that a new release of the package is noticed.
    """
    text = strip_ellipses(text)
    correction = corrections.get(prompt_id)
    if correction is None:
        return text, None
    for old, new in correction.replace:
        if old not in text:
            raise SpeechDataError(
                f"Prompt {prompt_id!r}: the correction {old!r} -> {new!r} does not apply to {text!r}. "
                "The package's text has changed: check the prompt and mend the corrections."
            )
        text = text.replace(old, new)
    return text, correction.note


def usable(text: str, size_bytes: int) -> bool:
    """Whether a prompt is long enough for the evaluation: more than three words and at least two seconds."""
    return len(text.split()) >= MIN_WORDS and size_bytes >= MIN_SECONDS * _BYTES_PER_SECOND


def evaluation_prompts(voice: Voice = VOICES["en"], sounds_root: Path = SOUNDS_ROOT) -> Iterator[Prompt]:
    """The evaluation list in order of id; raises `SpeechDataError` where the packages are not installed."""
    corrections = load_corrections()
    texts, files = prompt_texts(voice), prompt_files(voice, sounds_root)
    for prompt_id in sorted(texts.keys() & files.keys()):
        if usable(texts[prompt_id], files[prompt_id].stat().st_size):
            text, note = correct_text(prompt_id, texts[prompt_id], corrections)
            yield Prompt(prompt_id, files[prompt_id].relative_to(sounds_root).as_posix(), text, note)


def write_prompts(path: Path, prompts: Iterable[Prompt]) -> int:
    """Write the list as JSONL and return its number of lines."""
    lines = [prompt.to_json() + "\n" for prompt in prompts]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(lines), encoding="utf-8")
    return len(lines)
