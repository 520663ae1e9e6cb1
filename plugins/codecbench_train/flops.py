"""Counting the floating-point operations of a training step."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from torch.utils.flop_counter import FlopCounterMode


@dataclass
class StepFlops:
    """Counts the floating-point operations of the first step of each kind (with and without discriminators)."""

    counted: dict[bool, float] = field(default_factory=dict)
    per_step: float = 0.0

    def counting(self, adversarial: bool) -> AbstractContextManager[object]:
        """Count inside this context if such a step was not counted yet."""
        if adversarial in self.counted:
            self.per_step = self.counted[adversarial]
            return nullcontext()
        return _Counter(self, adversarial)


class _Counter(FlopCounterMode):
    def __init__(self, flops: StepFlops, adversarial: bool) -> None:
        super().__init__(display=False)
        self.flops, self.adversarial = flops, adversarial

    def __exit__(self, *args: object) -> bool | None:
        done: bool | None = super().__exit__(*args)
        self.flops.counted[self.adversarial] = self.flops.per_step = float(self.get_total_flops())
        return done
