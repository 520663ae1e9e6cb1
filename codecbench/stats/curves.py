"""Rate-quality curves: which codecs of a run are settings of one codec, and the Pareto front over all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from codecbench.contracts.codec import Role
from codecbench.runinfo import CodecInfo

if TYPE_CHECKING:
    from codecbench.results import RunResults


@dataclass(frozen=True)
class Curve:
    """Codecs that a line may connect: one variant cut to different codebooks, or one family's variants."""

    name: str
    family: str
    mode: str
    labels: tuple[str, ...]
    role: str = "codec"


def rate_curves(results: RunResults) -> tuple[Curve, ...]:
    """Group the codecs of a run that could be had into curves, in the order of the command.

    Labels with ``@codebooks`` join the same variant and decode mode; the others join their family's.
    """
    cut = {_stem(c.label) for c in results.info.codecs if "@" in c.label}
    groups: dict[tuple[str, str, str], list[CodecInfo]] = {}
    for codec in results.info.codecs:
        if not codec.unavailable:
            variant, mode = _stem(codec.label)
            name = variant if (variant, mode) in cut else family_of(codec)
            groups.setdefault((name, mode, codec.role), []).append(codec)
    return tuple(_curve(name, mode, role, codecs) for (name, mode, role), codecs in groups.items())


def _curve(name: str, mode: str, role: str, codecs: list[CodecInfo]) -> Curve:
    labels = tuple(codec.label for codec in codecs)
    # A single codec is called by its own name; a ceiling or floor is a line of its own.
    title = labels[0] if len(labels) == 1 and role != Role.CODEC else f"{name}/{mode}" if mode else name
    return Curve(title, family_of(codecs[0]), mode, labels, role)


def _stem(label: str) -> tuple[str, str]:
    """Split ``family:variant@codebooks/mode`` into (family:variant, mode)."""
    rest, _, mode = label.partition("/")
    return rest.partition("@")[0], mode


def family_of(codec: CodecInfo) -> str:
    """Name of a codec's family: the codecs that one curve over rates may join."""
    return str(codec.spec.get("system") or codec.spec.get("name") or codec.label.partition(":")[0])


def pareto_front(points: Sequence[tuple[float, float]], higher_is_better: bool) -> tuple[int, ...]:
    """Return the indices of (cost, quality) points that no other point beats at the same or lower cost."""
    sign = -1 if higher_is_better else 1
    order = sorted(range(len(points)), key=lambda i: (points[i][0], sign * points[i][1]))
    front: list[int] = []
    for i in order:
        if not front or sign * points[i][1] < sign * points[front[-1]][1]:
            front.append(i)
    return tuple(front)
