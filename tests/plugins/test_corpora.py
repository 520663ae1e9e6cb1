"""Corpora: manifests, folders, LibriSpeech's layout, Hugging Face datasets, the built-in one; good input and bad."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from codecbench import Corpus, Unavailable, UsageError
from codecbench.plugins import load_plugins
from codecbench.runner.config import RunConfig
from codecbench.runner.selection import open_corpus

REGISTRY = load_plugins().registry


def opened(corpus: str, **settings: str) -> Corpus:
    kind = corpus.partition(":")[0]
    owner = kind if kind in REGISTRY.corpora else "manifest"
    return open_corpus(REGISTRY, RunConfig(Path("unused"), corpus=corpus, settings={owner: settings}))


def write_audio(path: Path, seconds: float = 0.1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full(int(16000 * seconds), 0.1), 16000)
    return path


def test_the_built_in_corpus_is_the_default() -> None:
    corpus = opened("")
    utterances = list(corpus.utterances())
    assert corpus.name == "builtin"
    assert len(utterances) == 38
    assert {u.language for u in utterances} == {"en", "fr", "it", "ru"}
    assert all(u.audio.is_file() and u.text and u.speaker and u.problem is None for u in utterances)
    assert any("do not extend to other speakers" in note for note in corpus.notes)


def test_a_jsonl_manifest(tmp_path: Path) -> None:
    write_audio(tmp_path / "deep" / "a.wav")
    rows = [
        {"id": "one", "audio": "deep/a.wav", "text": "hello", "speaker": 7, "language": "en"},
        {"audio": "deep/a.wav"},
    ]
    manifest = tmp_path / "m.jsonl"
    manifest.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n", "utf-8")
    one, two = opened(str(manifest)).utterances()
    assert (one.id, one.text, one.speaker, one.language) == ("one", "hello", "7", "en")
    assert (two.id, two.text, two.problem) == ("a", None, None)


def test_a_csv_manifest(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.wav")
    manifest = tmp_path / "m.csv"
    manifest.write_text('id,audio,text\n1,a.wav,"one, two"\n2,a.wav,\n', "utf-8-sig")
    one, two = opened(str(manifest)).utterances()
    assert (one.id, one.text) == ("1", "one, two")
    assert two.text is None


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("{broken", "line 2: not JSON (Expecting property name enclosed in double quotes, column 2)"),
        ("[1, 2]", "expected an object, found list"),
        ('{"id": "x"}', "'audio' must be the path"),
        ('{"audio": 5}', "'audio' must be the path"),
        ('{"audio": "a\\u0000b.wav"}', "'audio' must be the path"),
        ('{"audio": "a.wav", "text": {"a": 1}}', "'text' must be text, not dict"),
        (
            '{"audio": "../outside.wav"}',
            "m.jsonl, line 2: the audio path '../outside.wav' leaves the manifest's folder",
        ),
        ('{"audio": "/etc/passwd"}', "leaves the manifest's folder"),
        ('{"audio": "' + "a" * (1 << 21) + '"}', "longer than"),
        ("[" * 100000, "not JSON"),
    ],
)
def test_a_malformed_line_is_named_by_its_number_and_the_rest_goes_on(tmp_path: Path, line: str, part: str) -> None:
    write_audio(tmp_path / "a.wav")
    manifest = tmp_path / "m.jsonl"
    manifest.write_text(f'{{"audio": "a.wav"}}\n{line}\n{{"id": "last", "audio": "a.wav"}}\n', "utf-8")
    first, bad, last = opened(str(manifest)).utterances()
    assert first.problem is last.problem is None
    assert bad.problem is not None
    assert part in bad.problem
    assert "line 2" in bad.problem


def test_paths_may_leave_the_folder_where_the_user_says_so(tmp_path: Path) -> None:
    write_audio(tmp_path / "outside.wav")
    manifest = tmp_path / "sub" / "m.jsonl"
    manifest.parent.mkdir()
    manifest.write_text('{"audio": "../outside.wav"}\n', "utf-8")
    (utterance,) = opened(str(manifest), allow_outside="true").utterances()
    assert utterance.problem is None


def test_a_text_with_bare_commas_is_told_and_not_cut(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.wav")
    manifest = tmp_path / "m.csv"
    manifest.write_text("id,audio,text\n1,a.wav,one, two\n2,a.wav,three,,\n", "utf-8")
    cut, empty_fields = opened(str(manifest)).utterances()
    assert cut.problem is not None
    assert "m.csv, line 2: 4 fields, the first row names 3" in cut.problem
    assert (empty_fields.text, empty_fields.problem) == ("three", None)


def test_a_file_that_is_no_manifest_is_called_one_that_exists(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.wav")
    with pytest.raises(UsageError, match="is a file: give its folder, or a manifest"):
        opened(str(tmp_path / "a.wav"))


def test_a_csv_without_an_audio_column_is_refused(tmp_path: Path) -> None:
    manifest = tmp_path / "m.csv"
    manifest.write_text("name,path\nx,y\n", "utf-8")
    with pytest.raises(UsageError, match="first row must name the columns"):
        opened(str(manifest))


def test_a_librispeech_folder(tmp_path: Path) -> None:
    chapter = tmp_path / "test-clean" / "1089" / "134686"
    write_audio(chapter / "1089-134686-0000.flac")
    write_audio(chapter / "1089-134686-0001.flac")
    (chapter / "1089-134686.trans.txt").write_text("1089-134686-0000 HE HOPED\n1089-134686-0001 STUFF IT\n", "utf-8")
    corpus = opened(str(tmp_path / "test-clean"))
    one, two = corpus.utterances()
    assert corpus.name == "test-clean"
    assert (one.id, one.text, one.speaker, one.language) == ("1089-134686-0000", "HE HOPED", "ls-1089", "en")
    assert two.audio.is_file()


def test_any_folder_of_audio(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.wav").with_suffix(".txt").write_text("words\n", "utf-8")
    write_audio(tmp_path / "deep" / "b.flac")
    (tmp_path / "notes.md").write_text("not audio", "utf-8")
    a, b = opened(f"folder:{tmp_path}", language="fr").utterances()
    assert (a.id, a.text, a.language) == ("a", "words", "fr")
    assert (b.id, b.text) == ("deep/b", None)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no audio files"):
        opened(str(tmp_path / "empty"))


def test_the_asterisk_prompts_say_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="apt-get install asterisk-core-sounds-en-g722"):
        opened("asterisk-en:", sounds=str(tmp_path))


def test_a_hugging_face_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets: Any = pytest.importorskip("datasets", reason="the extra 'huggingface' is not installed")
    monkeypatch.setenv("CODECBENCH_CACHE", str(tmp_path / "cache"))
    audio = write_audio(tmp_path / "a.wav")
    rows = {
        "id": ["x", "y"],
        "audio": [{"bytes": audio.read_bytes(), "path": None}, {"bytes": b"no audio", "path": None}],
        "text": ["hello", "bad"],
        "speaker_id": [1, 2],
    }
    features = datasets.Features(
        {
            "id": datasets.Value("string"),
            "audio": {"bytes": datasets.Value("binary"), "path": datasets.Value("string")},
            "text": datasets.Value("string"),
            "speaker_id": datasets.Value("int64"),
        }
    )
    data = datasets.Dataset.from_dict(rows, features=features).cast_column("audio", datasets.Audio(decode=False))
    (tmp_path / "set" / "data").mkdir(parents=True)
    data.to_parquet(str(tmp_path / "set" / "data" / "test-00000.parquet"))
    good, bad = opened(f"huggingface:{tmp_path / 'set'}::test").utterances()
    assert (good.id, good.text, good.speaker, good.problem) == ("x", "hello", "1", None)
    assert soundfile.info(str(good.audio)).frames == 1600
    assert bad.problem is not None
    assert "cannot be read" in bad.problem
    with pytest.raises(Unavailable, match="has no column"):
        opened(f"huggingface:{tmp_path / 'set'}::test", audio="sound")
