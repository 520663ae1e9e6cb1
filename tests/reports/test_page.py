"""The page as a file: everything inlined, hostile strings as text, figures traced, audio within its budget."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from codecbench.errors import UsageError
from codecbench.results import RunResults
from codecbench_page.failures import failures
from codecbench_page.listen import ListenOptions, listen_part
from codecbench_page.render import to_json, write_page
from codecbench_page.sound import has_opus, loudness, make_clip, spectrogram_uri
from codecbench_page.text import chart_text, visible
from codecbench_page.words import edits
from tests.factories import make_results
from tests.reports.hostile import HOSTILE
from tests.reports.page_runs import ATTACK, audible_run, hostile_run, plain_run

VOID = {"meta", "link", "input", "img", "br", "hr", "wbr"}


class Page(HTMLParser):
    """Tags with attributes, the text outside scripts, and the scripts."""

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text, self.scripts = "", [("", "")][:0]
        self.feed(path.read_text("utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append((dict(attrs).get("type") or "", ""))

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        elif self.open and self.open[-1] != "style":
            self.text += data

    @property
    def data(self) -> dict[str, Any]:
        return json.loads(next(text for kind, text in self.scripts if kind == "application/json"))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Page:
    folder = tmp_path_factory.mktemp("hostile")
    return Page(write_page([audible_run(folder / "run", hostile_run())], folder / "page"))


def test_page_is_one_file_that_asks_for_nothing(tmp_path: Path) -> None:
    path = write_page([plain_run()], tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["index.html"]
    page = Page(path)
    assert not page.open
    for tag, attributes in page.tags:
        assert tag not in ("iframe", "object", "embed", "base", "form") or attributes.get("method") == "dialog"
        for name in ("src", "href", "srcset", "poster", "action", "data"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, name, value)
        assert not any(name.startswith("on") for name in attributes)
    assert "@import" not in path.read_text("utf-8").split("<script>")[0]


def test_policy_allows_exactly_the_scripts_of_the_page(hostile: Page) -> None:
    policy = next(a["content"] for t, a in hostile.tags if t == "meta" and a.get("http-equiv"))
    assert policy is not None
    scripts = [text for kind, text in hostile.scripts if not kind]
    hashes = {f"sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}" for s in scripts}
    assert set(re.findall(r"'(sha256-[^']+)'", policy)) == hashes
    assert "default-src 'none'" in policy
    assert "connect-src 'none'" in policy
    assert "unsafe-inline" not in re.findall(r"script-src [^;]*", policy)[0]


def test_hostile_strings_are_text(hostile: Page) -> None:
    assert visible(ATTACK) in hostile.text
    assert HOSTILE[0] in hostile.text
    assert visible(HOSTILE[9]) in hostile.text
    assert sum(tag == "script" for tag, _ in hostile.tags) == 3
    assert not any(attributes.get("src") == "x" for _, attributes in hostile.tags)
    assert "\x00" not in hostile.text
    assert "\x1b" not in hostile.text
    assert visible(ATTACK) in hostile.data["trace"]["utterances"]


def test_json_in_a_script_cannot_end_it_and_holds_no_nan() -> None:
    made = to_json({"a": ["</script><!--", float("nan"), {"b": float("inf")}], "\ud800": "\u2028"})
    assert not set("<>&") & set(made)
    assert json.loads(made) == {"a": ["</script><!--", None, {"b": None}], "\ud800": "\u2028"}


def test_every_value_can_be_traced(tmp_path: Path) -> None:
    results = plain_run()
    trace = Page(write_page([results], tmp_path)).data["trace"]
    views = {(v["metric"], v["component"]): v for v in trace["views"]}
    assert len(views) == sum(1 for _ in results.views())
    view = views["pesq_wb", ""]
    values = np.frombuffer(base64.b64decode(view["values"]), "<f4").reshape(len(trace["codecs"]), -1)
    records = results.view("pesq_wb")
    for codec, utterance, value, status in records[["codec", "utterance_id", "value", "status"]].itertuples(
        index=False
    ):
        c, u = trace["codecs"].index(codec), trace["utterances"].index(utterance)
        if status == "ok":
            assert values[c, u] == pytest.approx(value, rel=1e-6)
        else:
            assert np.isnan(values[c, u])
            assert u in view["statuses"][str(c)][status]
    row = results.summary.get("two@4", "pesq_wb")
    assert row is not None
    assert view["rows"][trace["codecs"].index("two@4")]["estimate"] == row.estimate


def test_page_says_what_intervals_cover_and_marks_the_best(tmp_path: Path) -> None:
    page = Page(write_page([plain_run()], tmp_path))
    assert "95 % intervals over 38 to 40 (by metric) utterances." in page.text
    assert "they do not extend to other speakers" in page.text
    assert "higher is better" in page.text
    assert any("best" in (a.get("class") or "") for t, a in page.tags if t == "td")
    speakers = Page(write_page([make_results(num_speakers=25)], tmp_path))
    assert "intervals over 25 speakers" in speakers.text


def test_rate_part_has_curves_front_and_deltas(tmp_path: Path) -> None:
    data = Page(write_page([plain_run(80)], tmp_path)).data
    pair = next(p for p in data["rate"] if p["quality"] == "PESQ-WB" and p["rate"] == "Bitrate")
    names = {trace["name"] for trace in pair["chart"]["traces"]}
    assert names == {"Pareto front", "one", "two", "lone"}
    delta = next(d for d in pair["deltas"] if d[0] == "two" and d[1] == "one")
    assert delta[2] < 0 < delta[6]
    assert delta[3] <= delta[2] <= delta[4]
    assert {tuple(row[:1]) for row in pair["chart"]["rows"]} >= {("one@1",), ("two@8",), ("lone",)}
    assert any(p["words"] for p in data["rate"])


def test_failures_are_grouped_and_counted() -> None:
    results = plain_run()
    found = failures(results)
    assert found.failed + found.inapplicable == (results.records["status"] != "ok").sum()
    assert found.inapplicable == (results.records["status"] == "not_applicable").sum()
    assert sum(group.count for group in found.groups) + found.records_left == found.failed + found.inapplicable
    kinds = [group.status == "not_applicable" for group in found.groups]
    assert kinds == sorted(kinds)
    for same in (True, False):  # each kind by size
        counts = [group.count for group, kind in zip(found.groups, kinds, strict=True) if kind is same]
        assert counts == sorted(counts, reverse=True)
    silent = next(group for group in found.groups if group.status == "out_silent")
    assert silent.codecs == ("lone",)
    assert silent.utterances == ("utt-00000",)


def test_listening_part_keeps_its_budget_and_says_what_it_left_out(tmp_path: Path) -> None:
    results = audible_run(tmp_path / "run", plain_run(12), 12)
    whole = listen_part(results, ListenOptions(num_random=12, num_worst=0))
    assert whole.left_out == 0
    per_utterance = whole.num_bytes / 12
    part = listen_part(results, ListenOptions(int(3.5 * per_utterance), num_random=12, num_worst=0))
    assert 0 < part.num_bytes <= 3.5 * per_utterance
    heard = [item for item in part.items.values() if any("audio" in s for s in item["systems"])]
    assert len(heard) == 3
    assert part.left_out == 9
    silent = listen_part(results, ListenOptions(0, num_random=2))
    assert silent.num_bytes == 0


def test_listening_part_has_chosen_random_and_worst(tmp_path: Path) -> None:
    results = audible_run(tmp_path / "run", plain_run(24), 24)
    part = listen_part(results, ListenOptions(chosen=("utt-00007",), num_random=3, num_worst=10))
    groups = dict(part.groups)
    assert groups["Chosen"] == ("utt-00007",)
    assert len(groups["Random"]) == 3
    table = results.scores("pesq_wb")
    worst = np.nanargmin(table.values[table.codecs.index("two@4")])
    assert groups["Worst PESQ-WB of two@4"][0] == table.utterances[worst]
    assert all(len(names) == 10 for title, names in part.groups if title.startswith("Worst"))
    systems = [s["name"] for s in part.items["utt-00007"]["systems"]]
    assert systems[0] == "original"
    assert "identity" not in systems
    tokens = {s["name"]: s.get("tokens") for s in part.items["utt-00007"]["systems"]}
    assert [len(tokens[name][0]["codes"]) for name in ("one@2", "one@4")] == [2, 4]
    with pytest.raises(UsageError, match="no utterance 'nothing'"):
        listen_part(results, ListenOptions(chosen=("nothing",)))


def test_a_run_without_audio_says_how_to_keep_it(tmp_path: Path) -> None:
    assert "--keep-audio" in Page(write_page([plain_run()], tmp_path)).text


@pytest.mark.parametrize("rate_hz", [8000, 16000, 22050, 44100])
def test_clips_keep_the_sound(tmp_path: Path, rate_hz: int) -> None:
    if not has_opus():
        pytest.skip("PyAV with libopus is not installed (extra classical)")
    seconds = 2.0
    tone = 0.25 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate_hz)) / rate_hz)
    soundfile.write(tmp_path / "tone.wav", tone, rate_hz)
    clip = make_clip(tmp_path / "tone.wav")
    assert clip.audio.startswith("data:audio/ogg")
    assert clip.num_bytes < 40_000
    audio, decoded_hz = soundfile.read(io.BytesIO(base64.b64decode(clip.audio.split(",")[1])))
    assert len(audio) / decoded_hz == pytest.approx(seconds, abs=0.03)
    middle = audio[decoded_hz // 2 : decoded_hz // 2 + decoded_hz]
    assert np.abs(np.fft.rfft(middle)).argmax() == pytest.approx(440, abs=2)
    assert np.std(middle) == pytest.approx(np.std(tone), rel=0.1)


def test_loudness_follows_level_and_spectrograms_show_the_tone() -> None:
    tone = np.sin(2 * np.pi * 2000 * np.arange(32000) / 16000).astype(np.float32)
    quiet, loud = loudness(0.1 * tone, 16000), loudness(0.2 * tone, 16000)
    assert quiet is not None
    assert loud is not None
    assert loud - quiet == pytest.approx(6.02, abs=0.05)
    assert loudness(np.zeros(32000, np.float32), 16000) is None
    assert loudness(tone[:100], 16000) is None
    from PIL import Image

    picture = Image.open(io.BytesIO(base64.b64decode(spectrogram_uri(tone, 16000).split(",")[1]))).convert("L")
    rows = np.asarray(picture).mean(axis=1)
    assert rows.argmax() / len(rows) == pytest.approx(1 - 2000 / 8000, abs=0.04)


def test_word_edits_rebuild_both_texts() -> None:
    reference, hypothesis = "the cat sat on a mat", "the cat on the mat now"
    found = list(edits(reference, hypothesis))
    assert " ".join(m for kind, m, _ in found if kind != "insert" and m) == reference
    assert " ".join(h for kind, _, h in found if kind != "delete" and h) == hypothesis
    assert list(edits("", "new")) == [("insert", "", "new")]
    assert [kind for kind, _, _ in edits("a b", "")] == ["delete"]


@pytest.mark.parametrize("text", [ATTACK, *HOSTILE])
def test_chart_texts_hold_no_tag_and_no_direction_change(text: str) -> None:
    made = chart_text(text)
    assert not set("<>") & set(made)
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x1f]", made)


def test_several_runs_share_a_page(tmp_path: Path) -> None:
    page = Page(write_page([plain_run(), plain_run(20)], tmp_path))
    assert sum(kind == "application/json" for kind, _ in page.scripts) == 2
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))


def test_a_run_without_records_has_a_page(tmp_path: Path) -> None:
    made = plain_run()
    page = Page(write_page([RunResults.from_frame(made.info, made.records.iloc[:0])], tmp_path))
    assert not page.open


def test_utterances_without_kept_audio_do_not_end_the_budget(tmp_path: Path) -> None:
    results = audible_run(tmp_path / "run", plain_run(24), 6)
    part = listen_part(results, ListenOptions(chosen=("utt-00020",), num_random=6, num_worst=0))
    assert (part.not_kept, part.left_out) == (1, 0)
    heard = [name for name, item in part.items.items() if any("audio" in s for s in item["systems"])]
    assert sorted(heard) == [f"utt-{i:05d}" for i in range(6)]
