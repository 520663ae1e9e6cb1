"""Token files (``*.cbt``): one utterance's packed tokens or bit stream, with the codec that made them.

Layout: the magic ``CBTK``, a format byte, the header's length (u32, little-endian), the header (JSON), the payload,
and the CRC-32 of all that precedes it (u32).
"""

from __future__ import annotations

import json
import stat
import struct
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path

from codecbench.audio.reading import MAX_DURATION_ENV, SAMPLE_RATES_HZ, max_duration_s
from codecbench.contracts.encoded import Bitstream, Tokens
from codecbench.errors import BadInput
from codecbench.store.packing import PackedUtterance, unpack

MAGIC = b"CBTK"
FORMAT = 1
SUFFIX = ".cbt"
MAX_HEADER_BYTES = 1 << 20
MAX_FILE_BYTES = 1 << 28
_PREFIX = struct.Struct("<4sBI")
_CHECKSUM = struct.Struct("<I")


@dataclass(frozen=True)
class TokenFile:
    """What a token file holds.

    codec: full name without ``@`` and ``/``; version and weights are compared at decoding. sample_rate_hz: of the
    codec. packed: the tokens.
    """

    codec: str
    version: str
    identity: str
    sample_rate_hz: int
    packed: PackedUtterance

    @property
    def encoded(self) -> Tokens | Bitstream:
        """The tokens or bit stream (B = 1)."""
        return unpack(self.packed)


def write_token_file(path: Path, content: TokenFile) -> None:
    """Write a token file whole and rename it into place."""
    facts = asdict(content)
    payload = facts["packed"].pop("payload")
    header = json.dumps(facts, ensure_ascii=False, separators=(",", ":")).encode()
    body = _PREFIX.pack(MAGIC, FORMAT, len(header)) + header + payload
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(body + _CHECKSUM.pack(zlib.crc32(body)))
    temporary.replace(path)


def read_token_file(path: Path) -> TokenFile:
    """Read a token file; raises BadInput for one that is missing, too large, cut, altered or of another format."""
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > MAX_FILE_BYTES:
            raise BadInput(f"{path}: no file of at most {MAX_FILE_BYTES >> 20} MiB, so it is no token file")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: cannot be read ({error})") from error
    return _parse(data, path)


def _parse(data: bytes, path: Path) -> TokenFile:
    least = _PREFIX.size + _CHECKSUM.size
    if len(data) < least or data[:4] != MAGIC:
        raise BadInput(f"{path}: not a token file of codecbench")
    _, version, length = _PREFIX.unpack_from(data)
    if version != FORMAT:
        raise BadInput(f"{path}: token file format {version}, this codecbench reads {FORMAT}")
    if length > min(MAX_HEADER_BYTES, len(data) - least):
        raise BadInput(f"{path}: truncated: its header claims {length} bytes")
    if zlib.crc32(data[: -_CHECKSUM.size]) != _CHECKSUM.unpack(data[-_CHECKSUM.size :])[0]:
        raise BadInput(f"{path}: the checksum does not fit: the file was altered or cut")
    try:
        facts = json.loads(data[_PREFIX.size : _PREFIX.size + length])
        payload = data[_PREFIX.size + length : -_CHECKSUM.size]
        facts["packed"] = PackedUtterance(**facts["packed"], payload=payload)
        content = TokenFile(**facts)
        _check(content)
        unpack(content.packed)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BadInput(f"{path}: its header is not that of a token file ({str(error)[:500]})") from error
    return content


def _check(content: TokenFile) -> None:
    """Raise ValueError for facts of another type, or a length that no decoder should be asked for."""
    for name in ("codec", "version", "identity"):
        if not isinstance(getattr(content, name), str):
            raise ValueError(f"'{name}' must be text")
    low, high = SAMPLE_RATES_HZ
    rate_hz, num_samples = content.sample_rate_hz, content.packed.num_samples
    if type(rate_hz) is not int or not low <= rate_hz <= high:
        raise ValueError(f"'sample_rate_hz' must be a whole number from {low} to {high}")
    if type(num_samples) is not int or not 0 <= num_samples <= max_duration_s() * rate_hz:
        raise ValueError(
            f"'num_samples' must be a whole number, of {max_duration_s():g} s at most ({MAX_DURATION_ENV})"
        )
