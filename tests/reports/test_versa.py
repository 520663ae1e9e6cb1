"""VERSA's lists and scores: what is written can be read back, what does not fit is named."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from codecbench.errors import BadInput, UsageError
from codecbench.results import RunResults
from codecbench_versa.cli import versa_import
from codecbench_versa.lists import write_lists
from codecbench_versa.names import direction
from codecbench_versa.scores import Score, read_scores, with_scores
from tests.factories import write_run
from tests.reports.page_runs import audible_run, hostile_run, plain_run


def parsed(path: Path) -> dict[str, str]:
    """Read a list as VERSA's scorer does (``audio_loader_setup`` and ``--text``)."""
    with path.open(encoding="utf-8") as file:
        return dict(line.strip().split(maxsplit=1) for line in file.readlines())


def test_lists_name_the_audio_of_every_codec(tmp_path: Path) -> None:
    results = audible_run(tmp_path / "run", plain_run(6))
    files = {path.name: path for path in write_lists([results], tmp_path / "versa")}
    originals = parsed(files["gt.scp"])
    assert list(originals) == [f"utt-{i:05d}" for i in range(6)]
    decoded = next(path for name, path in files.items() if name.endswith("two@4.scp"))
    assert all(Path(path).is_file() for path in (*originals.values(), *parsed(decoded).values()))
    assert Path(parsed(decoded)["utt-00002"]) == results.artifacts.audio("two@4", "utt-00002").resolve()  # type: ignore[union-attr]
    assert set(parsed(files["text"])) == set(originals)
    commands = files["commands.txt"].read_text("utf-8").splitlines()
    assert len(commands) == sum(name.endswith(".scp") for name in files) - 1
    for command in commands:
        words = shlex.split(command)
        assert words[words.index("--io") + 1] == "soundfile"
        assert all(Path(words[words.index(option) + 1]).is_file() for option in ("--gt", "--pred", "--text"))


def test_no_output_is_listed_without_its_original(tmp_path: Path) -> None:
    """VERSA refuses to start with more outputs than originals."""
    results = audible_run(tmp_path / "run", plain_run(6))
    (tmp_path / "run" / "reference-3.wav").unlink()
    files = {path.name: path for path in write_lists([results], tmp_path / "versa")}
    lists = [set(parsed(path)) for name, path in files.items() if name.endswith(".scp")]
    assert all(ids == lists[0] and len(ids) == 5 for ids in lists)
    assert "its original is gone: 'utt-00003'" in files["notes.txt"].read_text("utf-8")


def test_ids_with_white_space_are_named_not_written(tmp_path: Path) -> None:
    results = audible_run(tmp_path / "a run", hostile_run(), 8)
    files = {path.name: path for path in write_lists([results], tmp_path / "versa")}
    originals = parsed(files["gt.scp"])
    assert originals
    assert set(originals) < set(results.artifacts.utterances)
    assert all(Path(path).is_file() for path in originals.values())
    assert "not listed" in files["notes.txt"].read_text("utf-8")
    assert all(path.parent == tmp_path / "versa" for path in files.values())


def test_a_run_without_audio_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--keep-audio"):
        write_lists([plain_run(4)], tmp_path)


def test_scores_become_metrics_of_the_run(tmp_path: Path) -> None:
    rows = [{"key": f"utt-{i:05d}", "pesq": 2.0 + i, "mcd": 5.0, "asr_text": "words", "odd": 1} for i in range(5)]
    rows[4]["mcd"] = float("nan")
    file = tmp_path / "scores.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_run(plain_run(6), tmp_path / "run")
    arguments = [str(tmp_path / "run"), str(file), "--codec", "two@4", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(versa_import, arguments, standalone_mode=False)
    assert result.exception is None
    results = RunResults.load(tmp_path / "out")
    pesq = results.summary.get("two@4", "versa_pesq")
    assert pesq is not None
    assert pesq.estimate == pytest.approx(4.0)
    assert pesq.n_failed == (("unavailable", 1),)
    mcd = results.summary.get("two@4", "versa_mcd")
    assert mcd is not None
    assert dict(mcd.n_failed) == {"backend_error": 1, "unavailable": 1}
    directions = {name: m.direction for name, m in results.metrics.items() if name.startswith("versa")}
    assert directions == {"versa_pesq": "higher", "versa_mcd": "lower", "versa_odd": "neutral"}
    assert results.summary.get("two@4", "pesq_wb") is not None
    again = with_scores(results, "two@4", read_scores(file))
    assert len(again.records) == len(results.records)


def test_counts_of_edits_become_a_ratio_of_sums(tmp_path: Path) -> None:
    counts = [(1, 0, 1, 8), (0, 3, 0, 1), (0, 0, 0, 0)]  # delete, insert, replace, equal
    names = [f"whisper_wer_{edit}" for edit in ("delete", "insert", "replace", "equal")]
    rows = [
        {"key": f"utt-{u:05d}", "whisper_hyp_text": "a b", "ref_text": "a", **dict(zip(names, row, strict=True))}
        for u, row in enumerate(counts)
    ]
    file = tmp_path / "scores.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    results = with_scores(plain_run(3), "two@4", read_scores(file))
    row = results.summary.get("two@4", "versa_whisper_wer")
    assert row is not None
    assert row.estimate == pytest.approx(100 * 5 / 11)  # errors over words of the transcripts, over all utterances
    assert row.n_scored == 3
    assert results.metrics["versa_whisper_wer"].direction == "lower"
    assert [name for name in results.metrics if "versa" in name] == ["versa_whisper_wer"]


def test_what_stands_for_a_failure_is_no_value(tmp_path: Path) -> None:
    """VERSA writes 0.0 where its PESQ raises, and JSON's unofficial Infinity for the SIR of one source."""
    file = tmp_path / "scores.jsonl"
    lines = (
        '{"key": "utt-00000", "pesq": 0.0, "sir": Infinity, "stoi": 0.0}',
        '{"key": "utt-00001", "pesq": 2.5, "stoi": 1}',
    )
    file.write_text("\n".join(lines))
    results = with_scores(plain_run(2), "two@4", read_scores(file))
    pesq, sir, stoi = (results.summary.get("two@4", f"versa_{name}") for name in ("pesq", "sir", "stoi"))
    assert pesq is not None
    assert sir is not None
    assert stoi is not None
    assert (pesq.estimate, dict(pesq.n_failed)) == (2.5, {"backend_error": 1})
    assert (sir.estimate, dict(sir.n_failed)) == (None, {"backend_error": 1, "unavailable": 1})
    assert stoi.estimate == 0.5


@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("f0corr", "higher"), ("f0rmse", "lower"), ("nisqa_mos_pred", "higher"), ("se_si_snr", "higher"),
        ("torch_squim_pesq", "higher"), ("SIGMOS_OVRL", "higher"), ("chroma_stft_cosine_dtw", "lower"),
        ("chroma_stft_cosine_dtw_log", "higher"), ("speech_token_distance", "higher"), ("scoreq_ref", "lower"),
        ("nomad", "lower"), ("audiobox_aesthetics_PC", "neutral"), ("speaking_rate", "neutral"),
    ],
)  # fmt: skip
def test_directions_are_those_of_the_metrics(name: str, better: str) -> None:
    assert direction(name) == better


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not json\n", ":1: not JSON"),
        ('{"pesq": 1}\n', "text 'key'"),
        ("[1]\n", "text 'key'"),
        ('{"key": "a"}\n\n{"key": "a"}\n', ":3: the utterance 'a' occurs twice"),
    ],
)
def test_broken_files_are_named_by_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "scores.jsonl"
    file.write_text(text)
    with pytest.raises(BadInput, match=message):
        read_scores(file)


def test_scores_of_something_else_are_refused() -> None:
    results = plain_run(4)
    with pytest.raises(UsageError, match="unknown codec"):
        with_scores(results, "nothing", {"utt-00000": {"pesq": Score(1.0)}})
    with pytest.raises(UsageError, match="no utterances of the run"):
        with_scores(results, "lone", {"elsewhere": {"pesq": Score(1.0)}})
    with pytest.raises(UsageError, match="no scores"):
        with_scores(results, "lone", {"utt-00000": {}})
