"""A codec in an environment: the same to its caller as one beside it; its crashes cost one call."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from codecbench import BadInput, Batch, Bitstream, Codec, CodecbenchError, CodecContext, Unavailable, Utterance
from codecbench.isolation.channel import MAGIC
from codecbench.isolation.codec import IsolatedCodec
from codecbench.isolation.environments import Environment
from codecbench.isolation.placing import PluginOrigin
from codecbench.isolation.process import IsolationError, WorkerProcess
from tests.isolation.conftest import open_levels


def batch(*names: str) -> Batch:
    lengths = torch.tensor([800 + 37 * i for i in range(len(names))])
    audio = 0.5 * torch.sin(torch.arange(int(lengths.max())) * 0.3).repeat(len(names), 1, 1)
    return Batch(audio, lengths, 16000, tuple(Utterance(name, Path(f"{name}.wav"), "text") for name in names))


def test_it_codes_with_the_version_that_it_asked_for(codec: Codec) -> None:
    assert isinstance(codec, IsolatedCodec)
    encoded = codec.encode(batch("a", "b"))
    assert isinstance(encoded, Bitstream)
    assert [payload[0] for payload in encoded.payloads] == [1, 1]
    waves = codec.decode(encoded)
    assert waves.sample_rate_hz == 16000
    assert waves.num_samples.tolist() == encoded.num_samples.tolist() == [800, 837]
    assert waves.audio.shape == (2, 1, 837)
    assert 0.4 < float(waves.audio.abs().max()) < 0.6
    assert "levelpacker" not in sys.modules


@pytest.mark.parametrize(
    ("fault", "error", "part"),
    [
        ("raise", IsolationError, "RuntimeError: this utterance cannot be coded"),
        ("input", BadInput, "this utterance is not speech"),
        ("segfault", IsolationError, "died of signal SIGSEGV"),
        ("exit", IsolationError, "exited with code 7"),
        ("hog", MemoryError, "Unable to allocate"),
        ("close", IsolationError, "closed its output"),
    ],
)
def test_what_goes_wrong_costs_one_call(codec: Codec, fault: str, error: type[Exception], part: str) -> None:
    before = codec.encode(batch("a"))
    with pytest.raises(error, match=part):
        codec.encode(batch(fault))
    after = codec.encode(batch("a"))
    assert isinstance(before, Bitstream)
    assert isinstance(after, Bitstream)
    assert before.payloads == after.payloads


def test_a_codec_that_cannot_be_opened_says_why_and_how_to_mend_it(environments: dict[str, Path]) -> None:
    with pytest.raises(Unavailable, match=r"its weights are not here \(fetch them\)"):
        open_levels(environments["levels_one"], fault="refuse")


def test_its_process_ends_with_the_codec(environments: dict[str, Path]) -> None:
    isolated = open_levels(environments["levels_one"])
    assert isinstance(isolated, IsolatedCodec)
    pid = isolated._process._process.pid
    os.kill(pid, 0)
    del isolated
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


OWNER = """
import sys
from pathlib import Path
from tests.isolation.conftest import open_levels
from tests.isolation.test_isolated_codec import batch
codec = open_levels(Path(sys.argv[1]))
print(codec._process._process.pid, flush=True)
codec.encode(batch("hang"))
"""


def test_a_process_that_hangs_ends_with_the_one_that_asked_it(environments: dict[str, Path]) -> None:
    command = [sys.executable, "-c", OWNER, str(environments["levels_one"])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        time.sleep(0.3)
        os.kill(pid, 0)
        owner.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]:
        assert time.monotonic() < deadline, "the worker process outlived its owner"
        time.sleep(0.05)


def test_another_version_of_the_plugin_is_told_with_both_versions(codec: Codec) -> None:
    assert isinstance(codec, IsolatedCodec)
    newer = replace(codec.spec, version="2")
    with pytest.raises(IsolationError, match="'levels-one' is version 1 in its environment and 2 here"):
        IsolatedCodec(newer, CodecContext(options={"fault": ""}), codec._place)


@pytest.mark.parametrize(
    ("says", "part"),
    [
        (b"Segmentation fault, says a shell", "expected a message of the worker protocol, found b'Segmentati'"),
        (struct.pack("<4sHI", MAGIC, 9, 2) + b"{}", "speaks version 9 of the worker protocol, this one 1"),
        (struct.pack("<4sHI", MAGIC, 1, 99) + b"{}", "ends after 2 of 99 bytes"),
        (b"", "exited with code 0"),
    ],
)
def test_what_does_not_speak_the_protocol_is_told(tmp_path: Path, says: bytes, part: str) -> None:
    (tmp_path / "said").write_bytes(says)
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(f"#!/bin/sh\ncat {tmp_path}/said\n")
    python.chmod(0o755)
    environment = Environment("strange", tmp_path, (), "3.11", inherits=False)
    with pytest.raises(CodecbenchError, match=part) as error:
        WorkerProcess(environment, PluginOrigin("strange", "strange"))
    assert "the environment of plugin 'strange'" in str(error.value)
