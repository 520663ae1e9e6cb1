"""What the kit judges by: named properties, their verdicts, and how a check says what it found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codecbench.conformance.subject import Subject


class Verdict(StrEnum):
    """What came out for one property."""

    PASS = "pass"
    FAIL = "fail"
    NOT_APPLICABLE = "not-applicable"  # the codec does not declare what the property is about
    BLOCKED = "blocked"  # cannot be judged while a property that it builds on fails
    DECLARED = "declared"  # fails, and the specification says so (``known_failures``)
    UNEXPECTED_PASS = "unexpected-pass"  # passes though the specification says that it fails


@dataclass(frozen=True)
class Finding:
    """The verdict on one property of one codec; ``message`` says what differs, where, and from what."""

    name: str
    verdict: Verdict
    message: str = ""

    @property
    def ok(self) -> bool:
        """Whether the codec keeps its word here (where it is blocked, the property in the way tells)."""
        return self.verdict is not Verdict.FAIL


class PropertyFails(Exception):  # noqa: N818 - raised by a check to say that the property does not hold
    """The property does not hold; the text names what differs."""


class DoesNotApply(Exception):  # noqa: N818 - raised by a check to say that there is nothing to judge
    """The property has no meaning for this codec; the text says why."""


# Returns a note worth reading beside a pass (a measured figure), or an empty text.
Check = Callable[["Subject"], str]


@dataclass(frozen=True)
class Property:
    """One property: ``needs`` names those that must hold before this one can be judged."""

    name: str
    question: str
    check: Check
    needs: tuple[str, ...] = ()


def conformance_property(name: str, *, needs: Sequence[str] = ()) -> Callable[[Check], Property]:
    """Turn a check into a property; its question is the first line of the check's docstring."""

    def wrap(check: Check) -> Property:
        question = (check.__doc__ or "").strip().splitlines()[0]
        return Property(name, question, check, tuple(needs))

    return wrap


def require(holds: bool, message: str) -> None:
    """Raise PropertyFails with ``message`` unless ``holds``."""
    if not holds:
        raise PropertyFails(message)


def require_same(difference: str, when: str) -> None:
    """Raise PropertyFails where ``difference`` (empty: none) says what differs ``when``."""
    if difference:
        raise PropertyFails(f"{when}: {difference}")
