"""Calls in pristine processes: no state between calls, and failures that say what happened."""

from __future__ import annotations

from pathlib import Path

import pytest

from codecbench.pristine import PristineCalls, PristineError

MODULE = """
import os
count = 0
def step(by):
    global count
    count += by
    print("noise on standard output")
    return count
def fail():
    raise ValueError("no such frame")
def die():
    os.kill(os.getpid(), 9)
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PristineCalls:
    """A server for a module that counts."""
    (tmp_path / "counting_module.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    return PristineCalls("counting_module")


def test_every_call_starts_from_the_same_state(calls: PristineCalls) -> None:
    assert [calls("step", 2), calls("step", 2), calls("step", 5)] == [2, 2, 5]


def test_large_values_pass(calls: PristineCalls) -> None:
    assert calls("step", 10**200_000) == 10**200_000


def test_failures_name_the_function_and_leave_the_server_usable(calls: PristineCalls) -> None:
    with pytest.raises(PristineError, match=r"counting_module.fail: ValueError: no such frame"):
        calls("fail")
    with pytest.raises(PristineError, match=r"counting_module.die: its process ended with code -9"):
        calls("die")
    assert calls("step", 1) == 1


def test_a_module_that_does_not_import_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PristineError, match="no_such_module_at_all ended with code 1"):
        PristineCalls("no_such_module_at_all")("step", 1)


def test_closing_ends_the_server(calls: PristineCalls) -> None:
    calls("step", 1)
    server = calls._server
    calls.close()
    assert server.poll() == 0
