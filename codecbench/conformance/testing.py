"""The kit as pytest tests: two lines in a plugin's own test suite."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from codecbench.conformance.checking import PROPERTIES, Examination
from codecbench.conformance.properties import Finding, Verdict
from codecbench.conformance.subject import OpenCodec, subject_by_name, subject_of
from codecbench.contracts.codec import Codec
from codecbench.errors import Unavailable
from codecbench.plugins import load_plugins


def conformance_tests(
    codec: str | Codec | OpenCodec, *, settings: Mapping[str, Mapping[str, str]] | None = None, device: str = "cpu"
) -> Callable[..., None]:
    """Return a test function with one case for each property; assign it to a name that starts with ``test``.

    codec: the name of a registered codec, or a codec, or best a module's function that makes one (only names and
    functions can be judged in another process). A codec that is unavailable here skips; so does a property that
    does not apply. A declared failure is an expected one.

    Example::

        from codecbench.conformance import conformance_tests
        test_conformance = conformance_tests("mycodec")
    """
    import pytest

    @lru_cache(maxsize=1)
    def examination() -> Examination:
        if not isinstance(codec, str):
            return Examination(subject_of(codec))
        return Examination(subject_by_name(load_plugins().registry, codec, settings=settings, device=device))

    def test(name: str) -> None:
        try:
            finding = examination().finding(name)
        except Unavailable as problem:
            pytest.skip(str(problem))
        settle(finding)

    return pytest.mark.parametrize("name", [p.name for p in PROPERTIES])(test)


def settle(finding: Finding) -> None:
    """Make pytest's outcome of a finding: pass, fail, skip or expected failure."""
    import warnings

    import pytest

    outcomes: dict[Verdict, Callable[[str], Any]] = {
        Verdict.FAIL: pytest.fail,
        Verdict.BLOCKED: pytest.skip,
        Verdict.NOT_APPLICABLE: pytest.skip,
        Verdict.DECLARED: pytest.xfail,
        Verdict.UNEXPECTED_PASS: warnings.warn,
    }
    if finding.verdict in outcomes:
        outcomes[finding.verdict](f"{finding.name}: {finding.message}")
