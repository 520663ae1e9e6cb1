"""Readers of what comes from outside, fed anything: their own errors only, soon, in little memory.

Time is bounded by the number of examples, which are the same at every run.
"""

from __future__ import annotations

import io
import json
import os
import struct
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codecbench import BadInput, Batch, Bitstream, Tokens, TokenStream, UsageError, Utterance, Waveforms
from codecbench.isolation.channel import MAGIC, PROTOCOL_VERSION, Channel, Message, ProtocolError, memory_file
from codecbench.isolation.plain import from_message, to_message
from codecbench.isolation.serving import CodecServer
from codecbench.registering import Registry
from codecbench.store import token_file
from codecbench.store.packing import PackedUtterance, unpack
from codecbench.store.token_file import read_token_file
from codecbench_corpora.manifest import open_manifest

MEMORY_LIMIT = 16 << 20
bounded = settings(
    max_examples=120, derandomize=True, database=None, suppress_health_check=list(HealthCheck), deadline=None
)

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 40),
    st.sampled_from([1 << 31, 1 << 40, 1 << 62, 1 << 70, -(1 << 63), 10**400]),
    st.floats(allow_nan=True, allow_infinity=True),
    st.text(max_size=6),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


@contextmanager
def little_memory() -> Iterator[None]:
    """No example may take more than the limit."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < MEMORY_LIMIT
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


# Manifests

fields = st.sampled_from(["id", "audio", "text", "speaker", "language", "sha256", "seconds", "other"])
rows = st.dictionaries(fields, values | st.sampled_from(["a.wav", "../x", "/", ".", "", "a\0", "\ud800"]), max_size=6)
jsonl_lines = st.one_of(
    rows.map(lambda row: json.dumps(row).encode()), values.map(lambda v: json.dumps(v).encode()), st.binary(max_size=80)
)
csv_cells = st.text(st.sampled_from('a,"\n\r\0é;./\ufeff '), max_size=12)


def _walk(path: Path, data: bytes) -> list[Utterance]:
    path.write_bytes(data)
    try:
        with little_memory():
            return list(open_manifest(path).utterances())
    except UsageError:
        return []


def _check_utterances(utterances: list[Utterance], folder: Path) -> None:
    for utterance in utterances:
        assert utterance.id
        assert "\0" not in utterance.id
        assert utterance.problem or utterance.audio.resolve().is_relative_to(folder.resolve())
        assert utterance.duration_s is None or utterance.duration_s > 0


@bounded
@given(st.lists(jsonl_lines, max_size=6))
def test_jsonl_manifests(folder: Path, lines: list[bytes]) -> None:
    utterances = _walk(folder / "m.jsonl", b"\n".join(lines))
    assert len(utterances) <= sum(line.count(b"\n") + 1 for line in lines)
    _check_utterances(utterances, folder)


@bounded
@given(st.lists(st.lists(csv_cells, max_size=4), max_size=5), st.binary(max_size=60))
def test_csv_manifests(folder: Path, cells: list[list[str]], rest: bytes) -> None:
    body = "\n".join(",".join(row) for row in cells).encode()
    _check_utterances(_walk(folder / "m.csv", b"audio,id,text\n" + body + rest), folder)
    _check_utterances(_walk(folder / "m.csv", body + rest), folder)


# Token files and packed tokens

stream_headers = st.fixed_dictionaries(
    {},
    optional={
        "name": st.text(max_size=4) | values,
        "frame_rate_hz": st.sampled_from([12.5, 50]) | values,
        "sizes": st.lists(st.sampled_from([2, 3, 1024, 0, -1, 1 << 40]), max_size=3) | values,
        "frames": st.integers(0, 9) | values,
        "durations": st.booleans() | values,
        "side_info_bits": scalars,
    },
)
headers = st.one_of(
    values.map(json.dumps),
    st.text(max_size=20),
    st.fixed_dictionaries({"format": st.just(1), "streams": st.lists(stream_headers, max_size=3) | values}).map(
        json.dumps
    ),
    st.fixed_dictionaries({"format": st.just(1), "bits": values}).map(json.dumps),
)
kinds = st.sampled_from(["tokens", "bitstream"]) | values


@bounded
@given(kinds, values, headers, st.binary(max_size=40))
def test_packed_tokens(kind: str, num_samples: int, header: str, payload: bytes) -> None:
    try:
        with little_memory():
            encoded = unpack(PackedUtterance(kind, num_samples, header, payload))
    except ValueError:
        return
    assert isinstance(encoded, Tokens | Bitstream)
    assert encoded.num_bits(0) >= 0
    for stream in encoded.streams if isinstance(encoded, Tokens) else ():
        for codes, size in zip(stream.codes[0], stream.codebook_sizes, strict=True):
            assert not len(codes) or 0 <= int(codes.min()) <= int(codes.max()) < size


facts = st.fixed_dictionaries(
    {},
    optional={
        "codec": st.just("toy") | values,
        "version": st.just("1") | values,
        "identity": st.just("abc") | values,
        "sample_rate_hz": st.just(16000) | values,
        "packed": st.fixed_dictionaries(
            {"kind": kinds, "num_samples": st.integers(0, 99) | values, "header": headers | values}
        )
        | values,
        "surplus": values,
    },
)


@bounded
@given(facts.map(lambda f: json.dumps(f).encode()) | st.binary(max_size=60), st.binary(max_size=40), st.integers(-9, 9))
def test_token_files_with_a_right_checksum(folder: Path, head: bytes, payload: bytes, shift: int) -> None:
    prefix = struct.pack("<4sBI", token_file.MAGIC, token_file.FORMAT, max(0, len(head) + (shift if shift > 5 else 0)))
    body = prefix + head + payload
    (folder / "x.cbt").write_bytes(body + struct.pack("<I", zlib.crc32(body)))
    try:
        with little_memory():
            content = read_token_file(folder / "x.cbt")
    except BadInput:
        return
    assert isinstance(content.encoded, Tokens | Bitstream)


# The worker protocol


@pytest.fixture(scope="module")
def memory() -> Iterator[int]:
    descriptor = memory_file()
    os.ftruncate(descriptor, 4096)
    yield descriptor
    os.close(descriptor)


arrays = st.lists(
    st.tuples(
        st.sampled_from(["float32", "int64", "uint8", "object", "V8", "<U4"]) | values,
        st.lists(st.integers(0, 2000) | scalars, max_size=5) | values,
        st.integers(0, 5000) | scalars,
    )
    | values,
    max_size=4,
)
types = st.sampled_from(["Tensor", "bytes", "Path", "Batch", "Tokens", "TokenStream", "Utterance", "Channel", "object"])
objects = st.fixed_dictionaries(
    {"$type": types | values}, optional={"array": st.integers(-2, 5) | scalars, "path": values, "streams": values}
)
heads = st.one_of(
    st.binary(max_size=60),
    values.map(lambda v: json.dumps(v).encode()),
    st.fixed_dictionaries(
        {
            "body": objects
            | values
            | st.fixed_dictionaries({"call": st.text(max_size=8), "codec": values, "batch": objects})
        },
        optional={"arrays": arrays | values},
    ).map(lambda v: json.dumps(v).encode()),
)


@bounded
@given(
    st.sampled_from([MAGIC, b"RIFF", b""]),
    st.sampled_from([PROTOCOL_VERSION, 0, PROTOCOL_VERSION + 1]),
    heads,
    st.sampled_from([0, 0, 0, 1, -1, 1 << 31]),
)
def test_messages(memory: int, magic: bytes, version: int, head: bytes, shift: int) -> None:
    length = min(max(0, len(head) + shift), (1 << 32) - 1)
    stream = io.BytesIO(magic + struct.pack("<HI", version, length) + head)
    try:
        with little_memory():
            message = Channel(stream, io.BytesIO(), memory, memory).receive()
            answer = CodecServer(Registry()).answer(message)
    except (ProtocolError, EOFError):
        return
    assert sum(array.nbytes for array in message.arrays) <= 4096
    assert set(answer.body) == {"error"}
    try:
        from_message(message)
    except ProtocolError:
        return


def test_another_version_is_told_with_both_numbers(memory: int) -> None:
    stream = io.BytesIO(struct.pack("<4sHI", MAGIC, 7, 2) + b"{}")
    with pytest.raises(ProtocolError, match="speaks version 7 of the worker protocol, this one 1"):
        Channel(stream, io.BytesIO(), memory, memory).receive()


@bounded
@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=3),
    st.text(max_size=8),
    st.sampled_from([torch.int64, torch.float32, torch.float64, torch.bool, torch.uint8]),
    st.binary(max_size=30),
    st.none() | st.floats(0, 1e6),
)
def test_what_is_sent_arrives(
    memory: int, lengths: list[int], name: str, dtype: torch.dtype, data: bytes, bits: float | None
) -> None:
    codes = (torch.arange(2 * sum(lengths)).reshape(1, 2, -1) % 3).to(dtype)
    side = None if bits is None else torch.tensor([bits])
    stream = TokenStream(name, codes, torch.tensor(lengths[:1]), 12.5, (3, 3), None, side)
    sent = {
        "batch": Batch(torch.rand(1, 1, 9), torch.tensor([9]), 16000, (Utterance(name, Path("a.wav"), None, "s"),)),
        "tokens": Tokens((stream,), torch.tensor([9])),
        "bits": Bitstream((data, b""), torch.tensor([1, 2]), (len(data), 0)),
        "waves": Waveforms(torch.zeros(1, 1, 0), torch.tensor([0]), 8000),
        "numbers": (1, 2.5, True, None, name, np.float32(0.5), np.int64(7)),
    }
    pipe = io.BytesIO()
    Channel(io.BytesIO(), pipe, memory, memory).send(to_message(sent))
    pipe.seek(0)
    got = from_message(Channel(pipe, io.BytesIO(), memory, memory).receive())
    assert torch.equal(got["batch"].audio, sent["batch"].audio)  # type: ignore[attr-defined]
    assert got["batch"].utterances == sent["batch"].utterances  # type: ignore[attr-defined]
    assert got["bits"].payloads == (data, b"")
    assert got["waves"].audio.shape == (1, 1, 0)
    assert got["numbers"] == (1, 2.5, True, None, name, 0.5, 7)
    (back,) = got["tokens"].streams
    assert back.codes.dtype == dtype
    assert torch.equal(back.codes, codes)
    assert (back.name, back.frame_rate_hz, back.codebook_sizes) == (name, 12.5, (3, 3))
    assert (back.side_info_bits is None) == (bits is None)


@pytest.mark.parametrize("value", [object(), {1, 2}, torch.zeros(1, dtype=torch.complex64), torch.zeros(1, 1, 1, 1, 1)])
def test_what_the_protocol_cannot_carry_is_refused(memory: int, value: object) -> None:
    with pytest.raises(ProtocolError, match="cannot be sent"):
        Channel(io.BytesIO(), io.BytesIO(), memory, memory).send(to_message({"value": value}))


def test_a_message_that_is_cut_short_is_told(memory: int) -> None:
    pipe = io.BytesIO()
    Channel(io.BytesIO(), pipe, memory, memory).send(Message({"call": "encode"}))
    for end in range(1, len(pipe.getvalue())):
        with pytest.raises(ProtocolError, match="ends after"):
            Channel(io.BytesIO(pipe.getvalue()[:end]), io.BytesIO(), memory, memory).receive()


def test_a_token_file_is_not_read_where_it_is_too_large_or_none(folder: Path) -> None:
    large = folder / "large.cbt"
    with large.open("wb") as file:
        file.write(token_file.MAGIC)
        file.truncate(token_file.MAX_FILE_BYTES + 1)
    os.mkfifo(folder / "pipe.cbt")
    for name in ("large.cbt", "pipe.cbt", "missing.cbt", "n" * 5000, "nul\0", "."):
        with little_memory(), pytest.raises(BadInput):
            read_token_file(folder / name)


def test_a_token_file_that_asks_for_days_of_audio_is_refused(folder: Path) -> None:
    packed = PackedUtterance("bitstream", 16000 * 3600 * 48, json.dumps({"format": 1, "bits": 8}), b"x")
    token_file.write_token_file(folder / "days.cbt", token_file.TokenFile("toy", "1", "abc", 16000, packed))
    with pytest.raises(BadInput, match="of 3600 s at most"):
        read_token_file(folder / "days.cbt")
