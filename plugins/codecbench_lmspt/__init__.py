"""LM-SPT: LM-aligned semantic distillation for speech tokenization (arXiv 2506.16738), model and codec plugin.

``LMSPT`` and ``load_preset`` load what they need when they are first used, so that importing the package stays cheap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from codecbench import Codec, CodecContext, CodecSpec, hookimpl

if TYPE_CHECKING:
    from codecbench.registering import RegisterCodec
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


def _make_codec(spec: CodecSpec, context: CodecContext) -> Codec:
    from codecbench_lmspt.codec import make_codec

    return make_codec(spec, context)


@hookimpl
def register_codecs(register: RegisterCodec) -> None:
    """Register one variant for each preset; ``lmspt`` alone is ``lmspt:mini-12.5hz``."""
    from codecbench_lmspt import variants

    for name in variants.variant_names():
        register(
            variants.codec_spec(name),
            _make_codec,
            available=variants.available,
            identity=variants.identity,
            aliases=variants.preset_of(name).card.aliases,
        )
