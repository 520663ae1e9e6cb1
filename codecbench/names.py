"""Codec names on the command line: ``family[:variant][@codebooks][/mode]``."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from codecbench.contracts.codec import CodecSpec
from codecbench.errors import UsageError, unknown_name
from codecbench.registering import CodecEntry, CodecFamily, Registry

_PATTERN = re.compile(
    r"(?P<family>[A-Za-z0-9_][A-Za-z0-9_.-]*)"
    r"(?::(?P<variant>[^@/]+))?(?:@(?P<codebooks>[^/]+))?(?:/(?P<mode>.+))?"
)


@dataclass(frozen=True)
class CodecName:
    """A parsed name; ``codebooks`` None means all, ``mode`` belongs to decoding as ``codebooks`` does."""

    family: str
    variant: str = ""
    codebooks: int | None = None
    mode: str = "full"

    def __str__(self) -> str:
        variant = f":{self.variant}" if self.variant else ""
        codebooks = f"@{self.codebooks}" if self.codebooks is not None else ""
        return f"{self.family}{variant}{codebooks}" + (f"/{self.mode}" if self.mode != "full" else "")


@dataclass(frozen=True)
class ResolvedCodec:
    """A name with the registered entry and the specification that it stands for."""

    name: CodecName
    entry: CodecEntry

    @property
    def spec(self) -> CodecSpec:
        """The specification of the variant."""
        return self.entry.spec

    @property
    def label(self) -> str:
        """The full name as it stands in every record."""
        return str(self.name)


def parse_name(text: str) -> CodecName:
    """Parse ``family[:variant][@codebooks][/mode]``; raises UsageError naming the part that is wrong."""
    match = _PATTERN.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"'{text}' is not a codec name; write family[:variant][@codebooks][/mode]")
    codebooks = match["codebooks"]
    if codebooks is not None and (not codebooks.isdigit() or int(codebooks) < 1):
        raise UsageError(f"'{text}': the number of codebooks after @ must be 1 or more, not '{codebooks}'")
    return CodecName(
        match["family"],
        match["variant"] or "",
        int(codebooks) if codebooks else None,
        match["mode"] or "full",
    )


def resolve(registry: Registry, text: str) -> ResolvedCodec:
    """Find what a codec name stands for; raises UsageError for an unknown family, variant, count or mode."""
    name = parse_name(text)
    family = registry.codecs.get(name.family)
    if family is None:
        raise unknown_name("codec", name.family, registry.codecs)
    entry = _variant(family, name.variant)
    spec = entry.spec
    if name.codebooks is not None:
        if not spec.truncatable:
            raise UsageError(f"'{text}': codec '{spec.full_name}' cannot be cut to fewer codebooks")
        if name.codebooks > spec.num_codebooks:
            raise UsageError(f"'{text}': codec '{spec.full_name}' has {spec.num_codebooks} codebooks")
    if spec.mode(name.mode) is None:
        raise unknown_name(f"decode mode of codec '{spec.full_name}'", name.mode, [m.name for m in spec.decode_modes])
    full = name.codebooks == spec.num_codebooks
    return ResolvedCodec(CodecName(spec.name, spec.variant, None if full else name.codebooks, name.mode), entry)


def _variant(family: CodecFamily, variant: str) -> CodecEntry:
    if not variant:
        return next(iter(family.entries.values()))
    variant = family.aliases.get(variant, variant)
    if variant in family.entries:
        return family.entries[variant]
    if family.parse_variant is not None:
        first = next(iter(family.entries.values()))
        spec = family.parse_variant(variant)
        if spec.variant in family.entries:
            return family.entries[spec.variant]
        return replace(first, spec=spec)
    raise unknown_name(f"variant of codec '{family.name}'", variant, [*family.entries, *family.aliases])
