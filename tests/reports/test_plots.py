"""Plots: what is drawn, what they say, and that nothing in a name or a gap in the data stops them."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from codecbench.registering import PluginRegistrar
from codecbench.results import RunResults
from codecbench.stats.curves import pareto_front, rate_curves
from codecbench_plots import SPEC, register_reports, theme
from codecbench_plots.bars import bar_plots
from codecbench_plots.codebooks import codebook_plots
from codecbench_plots.common import Plot
from codecbench_plots.distributions import distribution_plots
from codecbench_plots.rate import rate_plots
from codecbench_plots.render import write_plots
from tests.factories import IDENTITY, RECOGNISER, FakeCodec, make_results, realistic_codecs, rvq
from tests.reports.hostile import HOSTILE


@pytest.fixture(scope="module")
def results() -> RunResults:
    return make_results(realistic_codecs(), 40)


@pytest.fixture(scope="module")
def small() -> RunResults:
    return make_results([IDENTITY, *rvq("mimi", 12.5, [(2, 0.3), (4, 0.6)])], 25, metrics=["pesq_wb", "bitrate_bps"])


def by_name(plots: object) -> dict[str, Plot]:
    return {plot.name: plot for plot in plots}


def test_registered_as_a_default_report(tmp_path: Path, small: RunResults) -> None:
    registrar = PluginRegistrar("plots")
    register_reports(registrar.report)
    entry = registrar.registry.reports["plots"]
    assert entry.spec is SPEC
    files = entry.render([small], tmp_path, {"width": "column", "dpi": 80})
    names = {f.name for f in files}
    assert {"bars-pesq_wb.png", "rate-pesq_wb-by-bitrate_bps.svg", "distribution-pesq_wb.png"} <= names
    for file in files:
        assert file.stat().st_size > (20 if file.suffix == ".txt" else 3000)
        if file.suffix == ".svg":
            ElementTree.parse(file)


def test_what_could_not_be_drawn_is_noted(tmp_path: Path, small: RunResults) -> None:
    write_plots([small], tmp_path, dpi=50)
    assert "codebook use" in (tmp_path / "notes.txt").read_text()
    assert not (tmp_path / "codebooks.png").exists()


def test_same_records_same_files(tmp_path: Path, small: RunResults) -> None:
    first = write_plots([small], tmp_path / "a", dpi=50)
    second = write_plots([small], tmp_path / "b", dpi=50)
    assert [f.read_bytes() for f in first] == [f.read_bytes() for f in second]


def test_an_empty_run_draws_nothing_and_says_so(tmp_path: Path, small: RunResults) -> None:
    files = write_plots([RunResults.from_records(small.info, [])], tmp_path)
    assert [f.name for f in files] == ["notes.txt"]
    assert files[0].read_text().count("\n") == 5


def test_bars_name_metric_unit_recogniser_and_direction(results: RunResults) -> None:
    with theme.style():
        plots = by_name(bar_plots(results, theme.COLUMN_IN))
    wer = plots[f"bars-wer-{RECOGNISER}"].figure
    assert wer.axes[0].get_xlabel() == f"WER, {RECOGNISER} (%), lower is better"
    assert "95 % intervals, paired bootstrap over 40 utterances" in wer.texts[0].get_text().replace("\n", " ")
    ticks = wer.axes[0].get_yticklabels()
    assert len(ticks) == len(results.codecs)
    bold = {t.get_text() for t in ticks if t.get_fontweight() == "bold"}
    best = {theme.label_lines(r.codec) for r in results.summary.of("wer", RECOGNISER) if r.group == 1}
    assert bold == best
    widths = [bar.get_width() for bar in wer.axes[0].patches]
    estimates = [row.estimate for row in reversed(results.summary.of("wer", RECOGNISER))]
    assert widths == pytest.approx(estimates)


def test_rate_plots_connect_families_and_show_the_front(results: RunResults) -> None:
    with theme.style():
        plots = by_name(rate_plots(results, theme.FULL_IN))
    assert len(plots) == 6
    figure = plots["rate-pesq_wb-by-token_rate"].figure
    axes = figure.axes[0]
    assert axes.get_xlabel() == "Token rate (tokens/s), log scale"
    assert axes.get_ylabel() == "PESQ-WB\nhigher is better"
    assert axes.get_xscale() == "log"
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert list(lines["mimi"].get_xdata()) == pytest.approx([12.5, 25, 50, 100], rel=0.01)
    assert "opus" not in lines  # no tokens
    assert {"Pareto front", "identity", "noise:10db"} <= set(lines)


def test_distributions_and_codebooks_are_labelled(results: RunResults) -> None:
    with theme.style():
        spread = by_name(distribution_plots(results, theme.COLUMN_IN))
        (books,) = codebook_plots(results, theme.COLUMN_IN)
    assert spread["distribution-stoi"].figure.axes[0].get_xlabel() == "STOI, higher is better"
    assert [axes.get_ylabel() for axes in books.figure.axes] == [
        "Codebook use (%)\nhigher is better",
        "Codebook entropy (bit)",
    ]
    assert books.figure.axes[-1].get_xlabel() == "Codebook"


@pytest.mark.parametrize("width_in", [theme.COLUMN_IN, theme.FULL_IN])
def test_no_text_overlaps_or_leaves_the_page(results: RunResults, width_in: float) -> None:
    with theme.style():
        kinds = (bar_plots, rate_plots, distribution_plots, codebook_plots)
        for plot in itertools.chain.from_iterable(kind(results, width_in) for kind in kinds):
            assert_texts_apart(plot)


def assert_texts_apart(plot: Plot) -> None:
    figure = plot.figure
    FigureCanvasAgg(figure).draw()
    boxes = []
    legends = [entry for legend in figure.legends for entry in legend.get_texts()]
    labels = [t for axes in figure.axes for t in (axes.xaxis.label, axes.yaxis.label)]
    ticks = [t for axes in figure.axes for t in visible_ticks(axes)]
    for text in [*figure.texts, *legends, *labels, *ticks]:
        if text.get_text() and text.get_visible():
            boxes.append((text.get_text(), text.get_window_extent()))
    page = figure.bbox
    for name, box in boxes:
        assert box.x0 >= page.x0 - 1, (plot.name, name)
        assert box.x1 <= page.x1 + 1, (plot.name, name)
        assert box.y0 >= page.y0 - 1, (plot.name, name)
        assert box.y1 <= page.y1 + 1, (plot.name, name)
    for (a, first), (b, second) in itertools.combinations(boxes, 2):
        wide = min(first.x1, second.x1) - max(first.x0, second.x0)
        high = min(first.y1, second.y1) - max(first.y0, second.y0)
        assert min(wide, high) < 2.0, (plot.name, a, b)


def visible_ticks(axes: object) -> list[object]:
    (x0, x1), (y0, y1) = sorted(axes.get_xlim()), sorted(axes.get_ylim())
    x = [t.label1 for t in axes.xaxis.get_major_ticks() if x0 <= t.get_loc() <= x1 and t.label1.get_visible()]
    return x + [t.label1 for t in axes.yaxis.get_major_ticks() if y0 <= t.get_loc() <= y1 and t.label1.get_visible()]


def test_hostile_names_are_drawn_as_text(tmp_path: Path) -> None:
    made = make_results(
        [IDENTITY, *(FakeCodec(t, 0.4, 1000.0) for t in HOSTILE)], 25, metrics=["pesq_wb", "bitrate_bps"]
    )
    metrics = tuple(replace(m, title="$\\frac{" + m.title, unit="<b>%") for m in made.info.metrics)
    files = write_plots([made.with_info(replace(made.info, metrics=metrics))], tmp_path, dpi=60)
    svg = next(f for f in files if f.name == "bars-pesq_wb.svg")
    root = ElementTree.parse(svg).getroot()
    assert "script" not in {element.tag.rpartition("}")[2] for element in root.iter()}
    assert any("$\\frac{" in (element.text or "") for element in root.iter())


def test_single_values_and_constant_values_are_drawn(tmp_path: Path) -> None:
    files = write_plots(
        [make_results([IDENTITY, FakeCodec("a", 0.5, 900.0), FakeCodec("b", 0.7, 500.0)], 2)], tmp_path, dpi=50
    )
    assert {"bars-pesq_wb.png", "distribution-pesq_wb.png"} <= {f.name for f in files}


def test_one_rate_for_all_is_no_curve() -> None:
    same = make_results([FakeCodec("a", 0.5, 900.0), FakeCodec("b", 0.7, 900.0)], 5, metrics=["stoi", "bitrate_bps"])
    assert list(rate_plots(same, theme.COLUMN_IN)) == []


def test_families_have_looks_of_their_own_and_keep_them() -> None:
    families = ["opus", "mimi", "encodec", "dac", "lmspt", "speechtokenizer", "codec2", "g722", "lyra"]
    looks = theme.looks(families)
    assert len({look.colour for look in looks.values()}) == 9
    assert theme.looks(reversed(families)) == looks
    many = theme.looks(families + [f"other{i}" for i in range(9)])
    assert len({(look.colour, look.marker) for look in many.values()}) == 18


def test_long_names_are_broken_and_shortened() -> None:
    assert theme.label_lines("opus:12kbps") == "opus:12kbps"
    assert theme.label_lines("speechtokenizer:hubert-avg-official") == "speechtokenizer:\nhubert-avg-official"
    whole = theme.label_lines("recorded:encodec-1500-24-khz-1.5-kbps")  # on two lines, nothing cut
    assert whole.replace("\n", "") == "recorded:encodec-1500-24-khz-1.5-kbps"
    assert max(map(len, theme.label_lines("x" * 500 + ":" + "y" * 500).split("\n"))) <= 21


@pytest.mark.parametrize(("low", "high"), [(560, 1600), (900, 1100), (300, 64_000), (950, 1050), (0.2, 9)])
def test_a_logarithmic_axis_can_be_read(low: float, high: float) -> None:
    ticks = theme.log_ticks(low, high)
    assert 3 <= len(ticks) <= 12
    assert all(low <= tick <= high for tick in ticks)
    assert len({theme.tick_name(tick) for tick in ticks}) == len(ticks)


def test_curves_join_settings_of_one_codec_only() -> None:
    codecs = [IDENTITY, *rvq("lmspt:25hz", 25.0, [(2, 0.3), (4, 0.5)]), *rvq("lmspt:12hz", 12.5, [(2, 0.2), (4, 0.4)])]
    codecs += [FakeCodec("opus:6kbps", 0.5), FakeCodec("opus:12kbps", 0.6), FakeCodec("lmspt:25hz@4/semantic", 0.2)]
    curves = {curve.name: curve.labels for curve in rate_curves(make_results(codecs, 5, metrics=["stoi"]))}
    assert curves == {
        "identity": ("identity",),
        "lmspt:25hz": ("lmspt:25hz@2", "lmspt:25hz@4"),
        "lmspt:12hz": ("lmspt:12hz@2", "lmspt:12hz@4"),
        "opus": ("opus:6kbps", "opus:12kbps"),
        "lmspt:25hz/semantic": ("lmspt:25hz@4/semantic",),
    }


def test_pareto_front_keeps_what_nothing_beats() -> None:
    points = [(1.0, 2.0), (2.0, 1.5), (2.0, 3.0), (4.0, 3.0), (5.0, 3.5)]
    assert pareto_front(points, higher_is_better=True) == (0, 2, 4)
    assert pareto_front([(1.0, 5.0), (2.0, 6.0), (3.0, 4.0)], higher_is_better=False) == (0, 2)
    assert pareto_front([], higher_is_better=True) == ()


# Colour vision deficiencies of full severity: Machado, Oliveira and Fernandes, IEEE TVCG 15(6), 2009, table 1.
VISION = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def linear(colour: str) -> np.ndarray:
    part = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = to_xyz @ np.clip(rgb, 0, 1) / [0.9505, 1.0, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("vision", VISION)
def test_palette_stays_apart_in_every_colour_vision(vision: str) -> None:
    seen = [lab(np.asarray(VISION[vision]) @ linear(colour)) for colour in theme.PALETTE]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) >= 18
    for colour in theme.PALETTE:
        assert 1.05 / (linear(colour) @ [0.2126, 0.7152, 0.0722] + 0.05) >= 2.2


@pytest.mark.parametrize("vision", VISION)
def test_dark_palette_stays_apart_in_every_colour_vision(vision: str) -> None:
    seen = [lab(np.asarray(VISION[vision]) @ linear(colour)) for colour in theme.PALETTE_DARK]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) >= 25
    paper = linear(theme.DARK_PAPER) @ [0.2126, 0.7152, 0.0722]
    for colour in theme.PALETTE_DARK:
        assert (linear(colour) @ [0.2126, 0.7152, 0.0722] + 0.05) / (paper + 0.05) >= 3.2
