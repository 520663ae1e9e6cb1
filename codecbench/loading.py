"""From a name on the command line to a codec that runs: options, availability, identity, model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from codecbench.contracts.codec import Codec, CodecContext, CodecSpec
from codecbench.errors import CodecbenchError, PluginError, Unavailable
from codecbench.isolation.placing import placed
from codecbench.names import ResolvedCodec, resolve
from codecbench.options import affecting, resolve_options
from codecbench.registering import Registry

Settings = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class PreparedCodec:
    """A codec ready to be loaded, or the reason why it cannot be; picklable but for the entry.

    encode_identity: everything that decides the codes; decode_identity adds what decides the audio.
    """

    resolved: ResolvedCodec
    options: Mapping[str, Any]
    encode_identity: Mapping[str, Any] = field(default_factory=dict)
    decode_identity: Mapping[str, Any] = field(default_factory=dict)
    unavailable: Unavailable | None = None

    @property
    def spec(self) -> CodecSpec:
        """The specification."""
        return self.resolved.spec

    @property
    def label(self) -> str:
        """The full name in every record."""
        return self.resolved.label


def prepare(registry: Registry, text: str, settings: Settings, device: str = "cpu") -> PreparedCodec:
    """Resolve a codec name with its options and check that it can be had; never loads the model.

    Raises UsageError for a wrong name or option; what cannot be had is told by ``unavailable``.
    """
    resolved = resolve(registry, text)
    resolved = replace(resolved, entry=placed(resolved.entry))
    entry, spec = resolved.entry, resolved.spec
    options = resolve_options(spec.name, spec.options, settings.get(spec.name, {}))
    try:
        if entry.available is not None:
            entry.available(spec, options)
        facts = entry.identity(spec, options) if entry.identity is not None else {}
    except Unavailable as error:
        return PreparedCodec(resolved, options, unavailable=error)
    except CodecbenchError:
        raise
    except Exception as error:
        problem = Unavailable(f"its availability check failed: {type(error).__name__}: {error}")
        return PreparedCodec(resolved, options, unavailable=problem)
    encode = {
        "codec": spec.full_name,
        "version": spec.version,
        "sample_rate_hz": spec.sample_rate_hz,
        "options": affecting(spec.options, options, {"encode"}),
        "device": device.split(":")[0],
        **dict(facts),
    }
    decode = {
        "encode": encode,
        "codebooks": resolved.name.codebooks,
        "mode": resolved.name.mode,
        "streams": getattr(spec.mode(resolved.name.mode), "streams", ()),
        "options": affecting(spec.options, options, {"decode"}),
    }
    return PreparedCodec(resolved, options, encode, decode)


def load(prepared: PreparedCodec, device: str = "cpu") -> Codec:
    """Make the codec on ``device``.

    Raises Unavailable as it is, and PluginError for anything else that goes wrong in the plugin.
    """
    if prepared.unavailable is not None:
        raise prepared.unavailable
    entry = prepared.resolved.entry
    try:
        codec = entry.factory(entry.spec, CodecContext(device, prepared.options))
    except CodecbenchError:
        raise
    except Exception as error:
        raise PluginError(
            f"codec '{entry.spec.full_name}' cannot be loaded: {type(error).__name__}: {error}", plugin=entry.plugin
        ) from error
    if not isinstance(codec, Codec):
        raise PluginError(f"the factory of '{entry.spec.full_name}' returned no Codec", plugin=entry.plugin)
    return codec


def open_codec(registry: Registry, text: str, settings: Settings | None = None, device: str = "cpu") -> Codec:
    """Resolve, check and load a codec by name in one step."""
    return load(prepare(registry, text, settings or {}, device), device)
