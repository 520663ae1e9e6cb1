"""SpeechTokenizer against the authors' class, on checkpoints in the published layout."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from neural_checkpoints import write_speechtokenizer

from codecbench import Batch, Tokens, Unavailable
from codecbench.loading import prepare
from codecbench.plugins import PluginHost
from codecbench_speechtokenizer import HUB_FOLDER, SPEC, register_codecs
from codecbench_speechtokenizer.codec import SpeechTokenizerCodec, load_speechtokenizer
from codecbench_speechtokenizer.upstream import model_class

pytestmark = pytest.mark.skipif(find_spec("speechtokenizer") is None, reason="the extra is not installed")
MakeBatch = Callable[..., Batch]


@pytest.fixture(scope="module")
def codec(speechtokenizer_folder: Path) -> SpeechTokenizerCodec:
    return load_speechtokenizer(SPEC, speechtokenizer_folder, "cpu")


@pytest.fixture
def host() -> PluginHost:
    host = PluginHost()
    host.add(type("Plugin", (), {"register_codecs": staticmethod(register_codecs)}), "speechtokenizer")
    return host


@pytest.mark.parametrize("length", [1, 319, 320, 321, 12345])
@torch.no_grad()
def test_codes_and_audio_are_the_upstream_models(
    codec: SpeechTokenizerCodec, speechtokenizer_folder: Path, noise_batch: MakeBatch, length: int
) -> None:
    folder = speechtokenizer_folder
    upstream = model_class().load_from_checkpoint(folder / "config.json", folder / "SpeechTokenizer.pt").eval()
    batch = noise_batch(16000, [length])
    expected = upstream.encode(batch.audio)
    tokens = codec.encode(batch)
    assert isinstance(tokens, Tokens)
    assert torch.equal(tokens.streams[0].codes, expected.transpose(0, 1))
    assert torch.equal(codec.decode(tokens).audio, upstream.decode(expected)[..., :length])
    semantic = codec.decode(tokens.truncated(1)).audio
    assert torch.equal(semantic, upstream.decode(expected[:1])[..., :length])


def test_rows_of_a_batch_are_coded_as_alone(codec: SpeechTokenizerCodec, noise_batch: MakeBatch) -> None:
    batch = noise_batch(16000, [5000, 1, 3200])
    together = codec.encode(batch)
    assert isinstance(together, Tokens)
    waves = codec.decode(together)
    for row, length in enumerate([5000, 1, 3200]):
        alone = codec.encode(Batch(batch.audio[row : row + 1, :, :length], torch.tensor([length]), 16000))
        assert isinstance(alone, Tokens)
        assert torch.equal(alone.streams[0].codes, together.row(row).streams[0].codes)
        assert torch.equal(codec.decode(alone).row(0), waves.row(row))


SCRIPT = """
import sys
from pathlib import Path
for name in ("beartype", "tensorboard", "accelerate"):
    sys.modules[name] = None  # importing it fails, as where it is not installed
from codecbench_speechtokenizer import SPEC
from codecbench_speechtokenizer.codec import load_speechtokenizer
print(load_speechtokenizer(SPEC, Path(sys.argv[1]), "cpu").num_parameters())
print("speechtokenizer" in sys.modules)
"""


def test_loads_without_what_its_trainer_needs(speechtokenizer_folder: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(speechtokenizer_folder)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr
    parameters, imported = done.stdout.split()
    assert int(parameters) > 8 * 1024 * 32
    assert imported == "False"


def test_a_checkpoint_that_is_not_only_weights_is_refused(speechtokenizer_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((speechtokenizer_folder / "config.json").read_bytes())
    torch.save({"code": os.system}, tmp_path / "SpeechTokenizer.pt")
    with pytest.raises(Unavailable, match="holds more than weights"):
        load_speechtokenizer(SPEC, tmp_path, "cpu")


def test_a_checkpoint_of_another_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="n_q is 4, expected 8"):
        load_speechtokenizer(SPEC, write_speechtokenizer(tmp_path, n_q=4), "cpu")


def test_found_in_a_folder_and_in_a_clone_of_the_hub_repository(
    host: PluginHost, speechtokenizer_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / HUB_FOLDER).symlink_to(speechtokenizer_folder)
    found = [
        prepare(host.registry, "speechtokenizer", {"speechtokenizer": {"weights": str(folder)}})
        for folder in (speechtokenizer_folder, tmp_path)
    ]
    assert [f.unavailable for f in found] == [None, None]
    assert found[0].encode_identity == found[1].encode_identity
