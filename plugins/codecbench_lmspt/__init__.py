"""LM-SPT: LM-aligned semantic distillation for speech tokenization (arXiv 2506.16738), model and codec plugin.

``LMSPT`` and ``load_preset`` load torch when they are first used, so that importing the package stays cheap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from codecbench_lmspt.model import LMSPT as LMSPT
    from codecbench_lmspt.presets import load_preset as load_preset

__all__ = ["LMSPT", "load_preset"]


def __getattr__(name: str) -> Any:
    if name == "LMSPT":
        from codecbench_lmspt.model import LMSPT

        return LMSPT
    if name == "load_preset":
        from codecbench_lmspt.presets import load_preset

        return load_preset
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
