"""What the terminal shows: bad input by utterance, failures by codec, flags; tables that keep words whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from codecbench.cli.common import print_table
from codecbench.cli.outcome import print_outcome
from codecbench.plugins import PluginHost
from codecbench.results import RunResults
from codecbench.runinfo import Flag
from codecbench.runner.run import RunOutcome
from tests.factories import IDENTITY, FakeCodec, make_results

ALL_OF_CORPUS = Flag("missing_metric", "", "", "no utterance of the corpus could be read")


def said(changes: dict[str, tuple[str, str]], capsys: pytest.CaptureFixture[str], flags: tuple[Flag, ...] = ()) -> str:
    """What is printed where some utterances have a status and a reason, as one line."""
    results = make_results([IDENTITY, FakeCodec("one", 0.5), FakeCodec("two", 0.6)], 25)
    frame = results.records.astype({"status": object, "reason": object})
    for utterance, (status, reason) in changes.items():
        rows = (frame["utterance_id"] == utterance) & ((frame["codec"] != "one") | (status == "bad_input"))
        frame.loc[rows, ["status", "reason"]] = [status, reason]
    changed = RunResults.from_frame(results.info.with_flags(flags), frame)
    print_outcome(RunOutcome(Path("out"), changed, [], {}, True), PluginHost().registry)
    return " ".join(capsys.readouterr().out.split())


def ids() -> list[str]:
    return list(dict.fromkeys(u for u in make_results([IDENTITY], 25).records["utterance_id"] if u))


def test_bad_input_is_named_once_for_each_utterance(capsys: pytest.CaptureFixture[str]) -> None:
    first, second, *_ = ids()
    text = said({first: ("bad_input", "no\x1b[31m file"), second: ("bad_input", "[bold] NaN")}, capsys)
    assert text.count(f"bad input {first}: no\ufffd[31m file") == 1
    assert text.count(f"bad input {second}: [bold] NaN") == 1
    assert "failed" not in text


def test_many_bad_utterances_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(dict.fromkeys(ids()[:20], ("bad_input", "gone")), capsys)
    assert "and 8 more utterances" in text


def test_a_codecs_own_failures_come_with_their_number_and_the_first_reason(capsys: pytest.CaptureFixture[str]) -> None:
    text = said({ids()[0]: ("backend_error", "it crashed")}, capsys)
    assert "failed two: " in text
    assert f"{ids()[0]}: it crashed" in text
    assert "failed one" not in text


def test_a_flag_of_the_whole_run_has_no_empty_owner(capsys: pytest.CaptureFixture[str]) -> None:
    assert f"flag {ALL_OF_CORPUS.message}" in said({}, capsys, (ALL_OF_CORPUS,))


def test_a_table_keeps_words_whole_and_loses_nothing_on_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    name, path = "a-family-of-codecs:with-a-variant", "/a/long/path/without/a/space/in/it"
    print_table("Things", ("thing", "codebooks", "available", "why"), [(name, "12", "no [12]", f"see {path} [bold]")])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    text = "".join("".join(lines).split())
    assert all(word in " ".join(lines) for word in (name, "codebooks", "available", "no [12]", "[bold]"))
    assert path[:10] in text
    assert path[-5:] in text
