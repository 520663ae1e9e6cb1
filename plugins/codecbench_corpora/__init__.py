"""Corpora: the built-in one, the Asterisk prompts, LibriSpeech folders, manifests, audio folders, Hugging Face."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from codecbench import Corpus, CorpusSpec, OptionSpec, hookimpl

DATA = Path(__file__).parent / "data"


def _open_builtin(argument: str, options: Mapping[str, Any]) -> Corpus:
    from codecbench_corpora.fixed import open_builtin

    return open_builtin()


def _open_asterisk(argument: str, options: Mapping[str, Any]) -> Corpus:
    from codecbench_corpora.fixed import open_asterisk

    return open_asterisk(options["sounds"])


def _open_librispeech(argument: str, options: Mapping[str, Any]) -> Corpus:
    from codecbench_corpora.folders import open_librispeech

    return open_librispeech(Path(argument).expanduser())


def _open_manifest(argument: str, options: Mapping[str, Any]) -> Corpus:
    from codecbench_corpora.manifest import open_manifest

    return open_manifest(Path(argument).expanduser(), allow_outside=options["allow_outside"])


def _open_folder(argument: str, options: Mapping[str, Any]) -> Corpus:
    from codecbench_corpora.folders import open_folder

    return open_folder(Path(argument).expanduser(), language=options["language"])


def _open_huggingface(argument: str, options: Mapping[str, Any]) -> Corpus:
    from codecbench_corpora.huggingface import open_huggingface

    return open_huggingface(argument, options)


def _is_manifest(argument: str) -> bool:
    return Path(argument).suffix.lower() in {".jsonl", ".csv"}


def _is_librispeech(argument: str) -> bool:
    folder = Path(argument).expanduser()
    return folder.is_dir() and next(folder.rglob("*.trans.txt"), None) is not None


def _is_path(argument: str) -> bool:
    return Path(argument).expanduser().is_dir() or "/" in argument or argument.startswith(("~", "."))


@hookimpl
def register_corpora(register: Any) -> None:
    """Register the corpora and formats; a path is offered to the formats in this order."""
    register(
        CorpusSpec(
            name="builtin",
            description="38 utterances of real read speech and prompts (en, fr, it, ru) with transcripts; few speakers",
            licence="CC-BY-SA-3.0, CC-BY-3.0, public domain; see data/builtin/LICENCES.md",
            default=True,
        ),
        _open_builtin,
    )
    register(
        CorpusSpec(
            name="asterisk-en",
            description="197 English studio prompts of one speaker, from the Debian package of Asterisk sounds",
            licence="CC-BY-SA-3.0",
            overlaps=("builtin",),
            options=(
                OptionSpec(
                    "sounds",
                    "folder that holds en_US_f_Allison/*.g722",
                    type="Path",
                    default=Path("/usr/share/asterisk/sounds"),
                    env="CODECBENCH_ASTERISK_SOUNDS",
                ),
            ),
            requirements=("av",),
        ),
        _open_asterisk,
    )
    register(
        CorpusSpec(
            name="manifest",
            description="JSONL or CSV with the fields id, audio, text, speaker, language",
            path_format="FILE.jsonl or FILE.csv",
            options=(
                OptionSpec("allow_outside", "let audio paths leave the manifest's folder", type="bool", default=False),
            ),
        ),
        _open_manifest,
        matches=_is_manifest,
    )
    register(
        CorpusSpec(
            name="librispeech",
            description="A LibriSpeech or LibriTTS-style folder: SPEAKER/CHAPTER/*.flac beside *.trans.txt",
            path_format="DIR",
        ),
        _open_librispeech,
        matches=_is_librispeech,
    )
    register(
        CorpusSpec(
            name="folder",
            description="Any folder of audio files; a .txt of the same name beside a file is its transcript",
            path_format="DIR",
            options=(OptionSpec("language", "language of all files (ISO 639-1)"),),
        ),
        _open_folder,
        matches=_is_path,
    )
    register(
        CorpusSpec(
            name="huggingface",
            description="A Hugging Face dataset with an audio column",
            path_format="huggingface:NAME[:CONFIG[:SPLIT]]",
            options=(
                OptionSpec("audio", "name of the audio column", default="audio"),
                OptionSpec("text", "name of the transcript column", default="text"),
                OptionSpec("speaker", "name of the speaker column", default="speaker_id"),
                OptionSpec("id", "name of the id column", default="id"),
                OptionSpec("language", "language of all utterances (ISO 639-1)"),
                OptionSpec("revision", "revision of the dataset"),
            ),
            requirements=("datasets",),
        ),
        _open_huggingface,
    )
