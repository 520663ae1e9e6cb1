"""The page in a real browser: sort, hide, trace, play, and nothing asked of the network."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from codecbench_page.listen import ListenOptions
from codecbench_page.render import write_page
from codecbench_page.text import visible
from tests.reports import browser as browsers
from tests.reports.browser import PHONE, WIDE, Browser
from tests.reports.hostile import HOSTILE
from tests.reports.page_runs import ATTACK, audible_run, hostile_run, plain_run

pytestmark = pytest.mark.skipif(bool(browsers.missing()), reason=browsers.missing() or "-")

COLUMN = """
const table = document.querySelector('table.summary');
return [...table.tBodies[0].rows].filter((r) => !r.hidden).map((r) => r.querySelector(arguments[0]).dataset.value);
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    made = Browser(tmp_path_factory.mktemp("profile"))
    yield made
    made.driver.quit()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    return write_page([audible_run(folder / "run", plain_run())], folder, ListenOptions(num_random=3, num_worst=2))


@pytest.fixture(scope="module")
def hostile_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    return write_page([audible_run(folder / "run", hostile_run())], folder, ListenOptions(num_random=24, num_worst=2))


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("size", [WIDE, PHONE])
def test_opens_from_disk_without_error_or_request(
    browser: Browser, page: Path, size: tuple[int, int], dark: bool
) -> None:
    browser.open(page, size, dark)
    assert browser.js("return document.querySelectorAll('.plot .main-svg').length") >= 4
    assert browser.js("return document.documentElement.dataset.theme") == ("dark" if dark else "light")
    assert browser.js("return document.documentElement.scrollWidth") <= size[0]
    assert browser.complaints() == []
    assert browser.requests() == []


def test_the_policy_stops_what_would_go_out(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.complaints()
    stopped = browser.driver.execute_async_script(
        "const done = arguments[0]; fetch('https://example.invalid/').then(() => done('sent'), () => done('stopped'));"
    )
    assert stopped == "stopped"
    assert any("Content Security Policy" in message for message in browser.complaints())


def test_sorting_puts_missing_values_last_both_ways(browser: Browser, page: Path) -> None:
    browser.open(page)
    column = browser.js(
        "return [...document.querySelectorAll('table.summary thead th')]"
        ".find((t) => t.textContent.includes('Token rate')).dataset.col"
    )
    for expected in ("ascending", "descending"):
        browser.js(f"document.querySelector('table.summary th[data-col=\"{column}\"] button').click()")
        values = browser.js(COLUMN, f'[data-col="{column}"]')
        numbers = [float(v) for v in values if v]
        assert values[: len(numbers)] == [v for v in values if v]
        assert len(numbers) < len(values)
        order = browser.js(f"return document.querySelector('th[data-col=\"{column}\"]').getAttribute('aria-sort')")
        assert numbers == sorted(numbers, reverse=order == "descending")
        assert order in ("ascending", "descending")
        assert expected


def test_columns_and_codecs_can_be_hidden(browser: Browser, page: Path) -> None:
    browser.open(page)
    box = browser.js("return document.querySelector('input.column:checked').dataset.col")
    browser.js(f"document.querySelector('input.column[data-col=\"{box}\"]').click()")
    shown = (
        f"return [...document.querySelectorAll('table.summary [data-col=\"{box}\"]')].filter((c) => !c.hidden).length"
    )
    assert browser.js(shown) == 0
    browser.js(f"document.querySelector('input.column[data-col=\"{box}\"]').click()")
    assert browser.js(shown) > 5
    points = "return document.querySelector('figure[data-kind=rate] .plot').data.flatMap((t) => t.meta || [])"
    assert "two@4" in browser.js(points)
    browser.js("document.querySelector('input.codec[value=\"two@4\"]').click()")
    assert "two@4" not in browser.js(points)
    assert "two@8" in browser.js(points)
    assert browser.js("return document.querySelector('table.summary tr[data-codec=\"two@4\"]').hidden")


def test_a_figure_opens_its_utterances_and_escape_closes_them(browser: Browser, page: Path) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    browser.open(page)
    button = browser.driver.find_element(By.CSS_SELECTOR, 'button.fig[data-codec="lone"][data-metric="pesq_wb"]')
    button.send_keys(Keys.ENTER)  # by keyboard
    assert browser.js("return document.getElementById('trace').open")
    text = browser.js("return document.getElementById('trace').innerText")
    assert "out_silent: 1" in text
    assert "utt-00001" in text
    assert browser.js("return document.querySelectorAll('#trace tbody tr').length") == 40
    browser.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not browser.js("return document.getElementById('trace').open")


def test_each_chart_has_its_data_a_click_away(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.js("document.querySelectorAll('figure.chart details').forEach((d) => { d.open = true; })")
    browser.wait(lambda: browser.js("return [...document.querySelectorAll('figure.chart details table')].length") >= 4)
    first = browser.js("return document.querySelector('figure[data-kind=rate] details').innerText")
    assert "two@4" in first
    alts = browser.js("return [...document.querySelectorAll('.plot')].map((p) => p.getAttribute('aria-label'))")
    assert all(alts)


def test_switching_systems_keeps_the_position(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.js("window.audio = document.querySelector('.player audio'); audio.muted = true; audio.play()")
    browser.wait(lambda: browser.js("return audio.currentTime > 0.8"))
    before = browser.js("return [audio.currentTime, audio.src]")
    start = time.monotonic()
    browser.js("document.querySelectorAll('.system input')[3].click()")
    browser.wait(
        lambda: browser.js("return audio.readyState >= 3 && !audio.paused && audio.src !== arguments[0]", before[1])
    )
    after = browser.js("return audio.currentTime")
    assert before[0] - 0.05 <= after <= before[0] + (time.monotonic() - start) + 0.3
    browser.wait(lambda: browser.js("return audio.currentTime > arguments[0]", after))
    assert browser.js("return document.querySelectorAll('.system')[3].classList.contains('on')")
    browser.js("audio.pause(); audio.currentTime = 2")
    browser.js("document.querySelectorAll('.system input')[1].click()")
    browser.wait(lambda: browser.js("return audio.readyState >= 1 && Math.abs(audio.currentTime - 2) < 0.01"))
    assert browser.js("return audio.paused")
    assert browser.complaints() == []


def test_same_loudness_turns_the_louder_ones_down(browser: Browser, page: Path) -> None:
    browser.open(page)
    systems = browser.js("return JSON.parse(document.querySelector('script.data').textContent).listen.items[0].systems")
    least = min(s["lufs"] for s in systems)
    for index, system in enumerate(systems):
        browser.js(f"document.querySelectorAll('.system input')[{index}].click()")
        volume = browser.js("return document.querySelector('.player audio').volume")
        assert volume == pytest.approx(10 ** ((least - system["lufs"]) / 20), rel=1e-6)
    browser.js("document.querySelector('.match').click()")
    assert browser.js("return document.querySelector('.player audio').volume") == 1


def test_hostile_strings_are_text_everywhere(browser: Browser, hostile_page: Path) -> None:
    browser.open(hostile_page)
    texts = ""
    for number in range(browser.js("return document.querySelector('select.utterance').options.length")):
        texts += browser.js(
            "const s = document.querySelector('select.utterance'); s.selectedIndex = arguments[0];"
            "s.dispatchEvent(new Event('change')); return document.querySelector('.player').textContent", number,
        )  # fmt: skip
    browser.js("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    browser.js("[...document.querySelectorAll('button.fig')].find((b) => b.dataset.codec.includes('<script')).click()")
    shown = browser.js("return document.body.textContent")
    for text in (ATTACK, HOSTILE[0], HOSTILE[9]):
        assert visible(text) in shown
    assert f"what {ATTACK} says" in texts
    assert browser.js("return [window.hacked, document.querySelectorAll('img[src=x]').length]") == [None, 0]
    assert browser.js("return document.querySelectorAll('main script:not([type])').length") == 0
    assert browser.complaints() == []
    assert browser.requests() == []


def test_hostile_names_do_not_widen_the_phone(browser: Browser, hostile_page: Path) -> None:
    browser.open(hostile_page, PHONE)
    assert browser.js("return document.documentElement.scrollWidth") <= PHONE[0]


def test_everything_pressable_has_a_name_and_text_has_contrast(browser: Browser, page: Path) -> None:
    browser.open(page)
    nameless = browser.js(
        "return [...document.querySelectorAll('main button, header button, select, input, summary, a')].filter((n) => "
        "!(n.innerText || n.textContent || n.getAttribute('aria-label') || (n.labels && n.labels.length))).length"
    )
    assert nameless == 0
    for dark in (False, True):
        browser.open(page, dark=dark)
        for name in ("--ink", "--soft", "--accent", "--good", "--bad"):
            for ground in ("--paper", "--raised"):
                assert contrast(*(variable(browser, v) for v in (name, ground))) >= 4.5, (dark, name, ground)


def variable(browser: Browser, name: str) -> str:
    script = "return getComputedStyle(document.documentElement).getPropertyValue(arguments[0]).trim()"
    return str(browser.js(script, name))


def contrast(a: str, b: str) -> float:
    """Contrast ratio of WCAG 2.2."""
    lights = []
    for colour in (a, b):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        lights.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(lights) + 0.05) / (min(lights) + 0.05)
