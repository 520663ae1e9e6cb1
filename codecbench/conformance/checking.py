"""Putting every property to a codec, and what its declared failures make of the answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from codecbench.conformance.batches import BATCHES
from codecbench.conformance.causality import CAUSALITY
from codecbench.conformance.formats import DECODINGS, FORMATS, metadata
from codecbench.conformance.inputs import INPUTS
from codecbench.conformance.lengths import LENGTHS, SHORT
from codecbench.conformance.manners import INPUT, MANNERS
from codecbench.conformance.properties import DoesNotApply, Finding, Property, PropertyFails, Verdict, require
from codecbench.conformance.rates import RATES
from codecbench.conformance.repeats import REPEATS
from codecbench.conformance.subject import Subject
from codecbench.contracts.codec import CodecSpec
from codecbench.errors import unknown_name

# In the order of judging: what a property needs stands before it.
PROPERTIES: tuple[Property, ...] = (
    *MANNERS, *FORMATS, *LENGTHS, *SHORT, *DECODINGS, *INPUT, *REPEATS, *BATCHES, *RATES, *CAUSALITY, *INPUTS,
)  # fmt: skip
_BY_NAME = {p.name: p for p in PROPERTIES}


class Examination:
    """One codec under examination; each property is judged once, after those that it needs."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self._found: dict[str, Finding] = {}

    def finding(self, name: str) -> Finding:
        """Return the verdict on the property ``name``; raises UsageError for an unknown one."""
        if name not in _BY_NAME:
            raise unknown_name("conformance property", name, _BY_NAME)
        if name not in self._found:
            self._found[name] = with_declared(self._judge(_BY_NAME[name]), self.subject.spec)
        return self._found[name]

    def findings(self, names: Sequence[str] = ()) -> Iterator[Finding]:
        """Yield the verdicts on ``names``, or on every property, as they come."""
        for name in names or _BY_NAME:
            yield self.finding(name)

    def _judge(self, judged: Property) -> Finding:
        failing = [n for n in judged.needs if self.finding(n).verdict in _NOT_HELD]
        if failing:
            return Finding(judged.name, Verdict.BLOCKED, f"cannot be judged while {' and '.join(failing)} fails")
        try:
            if judged is metadata:
                _require_known(self.subject.spec)
            note = judged.check(self.subject)
        except PropertyFails as fault:
            return Finding(judged.name, Verdict.FAIL, str(fault))
        except DoesNotApply as reason:
            return Finding(judged.name, Verdict.NOT_APPLICABLE, str(reason))
        except Exception as error:  # the codec itself broke down
            return Finding(judged.name, Verdict.FAIL, f"raises {type(error).__name__}: {error}")
        return Finding(judged.name, Verdict.PASS, note)


def _require_known(spec: CodecSpec) -> None:
    unknown = [k.property for k in spec.known_failures if k.property not in _BY_NAME]
    require(not unknown, f"known_failures names no property of the kit: {', '.join(unknown)}")


_NOT_HELD = (Verdict.FAIL, Verdict.DECLARED, Verdict.BLOCKED)


def with_declared(finding: Finding, spec: CodecSpec) -> Finding:
    """Return the finding in the light of the specification's ``known_failures``."""
    reason = next((k.reason for k in spec.known_failures if k.property == finding.name), None)
    if reason is None:
        return finding
    if finding.verdict is Verdict.FAIL:
        return Finding(finding.name, Verdict.DECLARED, f"{reason} ({finding.message})")
    if finding.verdict is Verdict.PASS:
        message = f"declared as failing ({reason}), but it passes: take it out of known_failures"
        return Finding(finding.name, Verdict.UNEXPECTED_PASS, message)
    return finding


def check(subject: Subject, names: Sequence[str] = ()) -> list[Finding]:
    """Judge ``subject`` by the properties ``names``, or by all; raises UsageError for an unknown name."""
    return list(Examination(subject).findings(names))
