"""codecbench encode and decode, and the token file between them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from codecbench import BadInput, Tokens, single_stream
from codecbench.cli.coding import decode_command, encode_command
from codecbench.store.packing import pack
from codecbench.store.token_file import TokenFile, read_token_file, write_token_file
from tests import toy_plugin

TOY = ["--plugin", toy_plugin.__file__]


def _invoke(command: object, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(command, [*arguments, *TOY], standalone_mode=False)  # type: ignore[arg-type]
    if done.exception is not None:
        raise done.exception
    return done.return_value or 0, done.output


@pytest.fixture
def audio_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "audio"
    (folder / "deep").mkdir(parents=True)
    soundfile.write(folder / "a.wav", 0.5 * np.sin(np.arange(8000) * 0.1), 16000)
    soundfile.write(folder / "deep" / "b.flac", 0.2 * np.sin(np.arange(5001) * 0.2), 8000)
    return folder


def test_a_folder_is_encoded_and_decoded(audio_folder: Path, tmp_path: Path) -> None:
    assert _invoke(encode_command, str(audio_folder), "--codec", "toy", "--out", str(tmp_path / "tokens"))[0] == 0
    content = read_token_file(tmp_path / "tokens" / "deep" / "b.cbt")
    assert content.codec == "toy"
    assert isinstance(content.encoded, Tokens)
    assert (tmp_path / "tokens" / "a.cbt").stat().st_size < 1000
    assert _invoke(decode_command, str(tmp_path / "tokens"), "--out", str(tmp_path / "back"))[0] == 0
    samples, rate_hz = soundfile.read(tmp_path / "back" / "deep" / "b.wav")
    assert (len(samples), rate_hz) == (10002, 16000)
    code, _ = _invoke(
        decode_command, str(tmp_path / "tokens" / "a.cbt"), "--mode", "half-rate", "--out", str(tmp_path / "half")
    )
    assert code == 0
    assert soundfile.info(tmp_path / "half" / "a.wav").samplerate == 8000


def test_one_bad_file_is_told_and_the_rest_goes_on(audio_folder: Path, tmp_path: Path) -> None:
    (audio_folder / "broken.wav").write_bytes(b"no audio")
    code, output = _invoke(encode_command, str(audio_folder), "--codec", "toy@1", "--out", str(tmp_path / "tokens"))
    assert code == 3
    assert "broken.wav" in output
    assert len(list((tmp_path / "tokens").rglob("*.cbt"))) == 2


def _content() -> TokenFile:
    codes = torch.randint(1024, (1, 3, 7))
    tokens = single_stream(
        codes,
        num_frames=torch.tensor([7]),
        num_samples=torch.tensor([2000]),
        frame_rate_hz=50,
        codebook_sizes=(1024,) * 3,
    )
    packed = pack(tokens)
    assert packed is not None
    return TokenFile("toy", "1", "abc", 16000, packed)


def test_a_token_file_round_trips(tmp_path: Path) -> None:
    content = _content()
    write_token_file(tmp_path / "x.cbt", content)
    assert read_token_file(tmp_path / "x.cbt") == content


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 400), st.integers(0, 255), st.booleans())
def test_any_alteration_is_found(tmp_path_factory: pytest.TempPathFactory, where: int, value: int, cut: bool) -> None:
    file = tmp_path_factory.mktemp("fuzz") / "x.cbt"
    write_token_file(file, _content())
    data = bytearray(file.read_bytes())
    where = min(where, len(data) - 1)
    altered = data[:where] if cut else data[:where] + bytes([value]) + data[where + 1 :]
    if altered == data:
        return
    file.write_bytes(altered)
    with pytest.raises(BadInput):
        read_token_file(file)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = tmp_path_factory.mktemp("fuzz") / "x.cbt"
    file.write_bytes(data)
    with pytest.raises(BadInput):
        read_token_file(file)
