"""Weights that lie: nothing in a checkpoint is run, whatever its name, and no header is believed."""

from __future__ import annotations

import ast
import json
import os
import pickle
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from codecbench import PluginError, Unavailable
from codecbench.loading import load, prepare
from codecbench.plugins import load_plugins

REPOSITORY = Path(__file__).resolve().parents[2]
REGISTRY = load_plugins().registry


class Bomb:
    """A pickle that makes a folder when it is loaded."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[..., None], tuple[str]]:
        return os.mkdir, (str(self.trace),)


@dataclass(frozen=True)
class Loader:
    """A codec that loads weights from a path: its name, what ``weights`` points at, and the files that it reads."""

    codec: str
    files: tuple[str, ...]
    folder: bool = True
    config: Callable[[Path], object] | None = None


def _mimi(folder: Path) -> object:
    from tests.plugins.neural.neural_checkpoints import write_mimi

    return write_mimi(folder)


def _encodec(folder: Path) -> object:
    from tests.plugins.neural.neural_checkpoints import write_encodec

    return write_encodec(folder)


def _dac(folder: Path) -> object:
    from tests.plugins.neural.neural_checkpoints import write_dac

    return write_dac(folder, "16khz")


def _speechtokenizer(folder: Path) -> object:
    from tests.plugins.neural.neural_checkpoints import write_speechtokenizer

    return write_speechtokenizer(folder)


LOADERS = (
    Loader("mimi", ("model.safetensors", "pytorch_model.bin"), config=_mimi),
    Loader("encodec", ("model.safetensors", "pytorch_model.bin"), config=_encodec),
    Loader("dac:16khz", ("model.safetensors", "pytorch_model.bin"), config=_dac),
    Loader("speechtokenizer", ("SpeechTokenizer.pt",), config=_speechtokenizer),
    Loader("lmspt:release", ("model.safetensors",)),
    Loader("lmspt:release", ("model.pt",), folder=False),
    Loader("speechtokenizer-style", ("model.safetensors",), folder=False),
    Loader("lyra", ("soundstream_encoder.tflite", "lyragan.tflite", "quantizer.tflite")),
)


def test_every_codec_that_loads_weights_is_tested_here() -> None:
    families = {f.name for f in REGISTRY.codecs.values() for e in f.entries.values() for o in e.spec.options
                if o.name == "weights"}  # fmt: skip
    assert families == {loader.codec.partition(":")[0] for loader in LOADERS}


def _refusal(loader: Loader, weights: Path) -> str:
    """Try to load; returns the error's text."""
    family = loader.codec.partition(":")[0]
    with pytest.raises((Unavailable, PluginError)) as error:
        load(prepare(REGISTRY, loader.codec, {family: {"weights": str(weights)}}))
    return str(error.value)


@pytest.fixture(params=LOADERS, ids=lambda loader: f"{loader.codec}-{loader.files[0]}")
def loader(request: pytest.FixtureRequest) -> Loader:
    chosen: Loader = request.param
    if chosen.codec == "speechtokenizer" and find_spec("speechtokenizer") is None:
        pytest.skip("the extra 'speechtokenizer' is not installed")
    return chosen


@pytest.mark.parametrize("kind", ["pickle", "torch", "legacy"])
def test_a_pickle_given_as_weights_is_refused_unrun(loader: Loader, kind: str, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    folder = tmp_path / "weights"
    folder.mkdir()
    if loader.config is not None:
        loader.config(folder)
    for name in loader.files:
        if kind == "pickle":
            (folder / name).write_bytes(pickle.dumps(Bomb(trace)))
        else:
            torch.save({"weight": Bomb(trace)}, folder / name, _use_new_zipfile_serialization=kind == "torch")
    _refusal(loader, folder if loader.folder else folder / loader.files[0])
    assert not trace.exists()
    pickle.loads(pickle.dumps(Bomb(trace)))
    assert trace.exists(), "the bomb itself must work, or this test shows nothing"


def header(text: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(text) if length is None else length) + text


def tensor(start: int, end: int, shape: list[int], dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def plain(facts: object, payload: int = 64) -> bytes:
    return header(json.dumps(facts).encode()) + bytes(payload)


WRONG_HEADERS = {
    "empty": b"",
    "short": b"\x10",
    "huge-length": header(b"{}", (1 << 64) - 1),
    "length-of-an-exabyte": header(b"{}", 1 << 60),
    "longer-than-the-file": header(b"{}", 100),
    "not-json": header(b"not json at all") + bytes(64),
    "not-utf8": header(b"\xff" * 16) + bytes(64),
    "a-list": header(b"[1, 2, 3]") + bytes(64),
    "nested": header(b'{"a":' * 20000 + b"1" + b"}" * 20000),
    "overlapping": plain({"a": tensor(0, 64, [16]), "b": tensor(32, 64, [8])}),
    "beyond-the-file": plain({"a": tensor(0, 1 << 40, [1 << 38])}),
    "backwards": plain({"a": tensor(64, 0, [16])}),
    "negative": plain({"a": tensor(-64, 0, [16])}),
    "hole": plain({"a": tensor(32, 64, [8])}),
    "wrong-shape": plain({"a": tensor(0, 64, [1 << 30, 1 << 30])}),
    "overflowing-shape": plain({"a": tensor(0, 64, [1 << 32, 1 << 32, 4])}),
    "unknown-type": plain({"a": tensor(0, 64, [16], "F33")}),
    "metadata-of-numbers": plain({"__metadata__": {"spec": 5}, "a": tensor(0, 64, [16])}),
    "metadata-not-json": plain({"__metadata__": {"lmspt.spec": "{", "spec": "{"}, "a": tensor(0, 64, [16])}),
    "other-tensors": plain({"surplus": tensor(0, 64, [16])}),
}


@pytest.mark.parametrize("wrong", WRONG_HEADERS)
def test_a_safetensors_file_with_a_wrong_header_is_refused(wrong: str, tmp_path: Path) -> None:
    for loader in LOADERS:
        if loader.files[0] != "model.safetensors" or loader.config is not None:
            continue
        (tmp_path / "model.safetensors").write_bytes(WRONG_HEADERS[wrong])
        weights = tmp_path if loader.folder else tmp_path / "model.safetensors"
        assert _refusal(loader, weights)


LIARS = """
import json, resource, sys
from dataclasses import asdict
from pathlib import Path
import torch
from safetensors.torch import save_file
from codecbench_lmspt.files import SPEC_KEY, WeightsError
from codecbench_lmspt.model import LMSPT
from codecbench_lmspt.presets import load_preset, spec_to_table
from codecbench_speechtokenizer_style.model import SIZE_KEY, SpeechTokenizerStyle, load
from codecbench_speechtokenizer_style.sizes import SIZES

family, path = sys.argv[1], Path(sys.argv[2])
model = LMSPT(load_preset("tiny")) if family == "lmspt" else SpeechTokenizerStyle(SIZES["tiny"])
key = SPEC_KEY if family == "lmspt" else SIZE_KEY
training = ("distillation_head.", ".ema.")
own = {k: v for k, v in model.state_dict().items() if not any(part in k for part in training)}
# What the process has now, and 1 GB: far less than any model that is stated.
now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + 10**9, now + 10**9))
resource.setrlimit(resource.RLIMIT_CPU, (120, 120))
for line in sys.stdin:
    changes, holds_own = json.loads(line)
    stated = spec_to_table(load_preset("tiny")) if family == "lmspt" else asdict(SIZES["tiny"])
    for dotted, value in changes.items():
        *tables, last = dotted.split(".")
        table = stated
        for name in tables:
            table = table[name]
        table[last] = value
    save_file(own if holds_own else {"a": torch.zeros(1)}, path, metadata={key: json.dumps(stated)})
    try:
        LMSPT.from_pretrained(path, fold=False) if family == "lmspt" else load(path)
    except WeightsError as error:
        print("refused:", error)
    else:
        print("loaded")
"""
# By family: what a file states of the tiny model, and whether it holds that model's tensors or another one.
HUGE: dict[str, list[tuple[dict[str, int], bool]]] = {
    "lmspt": [
        ({"latent_width": 1 << 17}, False),
        ({"latent_width": 1 << 17}, True),
        ({"latent_width": 1 << 62}, False),
        ({"quantizer.acoustic_size": 1 << 31}, True),
        ({"quantizer.acoustic_books": 10**9}, True),
        ({"aux_decoder.layers": 10**9}, False),
        ({"encoder.transformer.heads": 0}, True),
        ({"training.distillation_head_dim": 1 << 31}, True),  # which no file holds
    ],
    "speechtokenizer-style": [
        ({"latent": 1 << 17}, False),
        ({"latent": 1 << 62}, False),
        ({"codebook_size": 1 << 31}, True),
        ({"codebooks": 10**9}, True),
        ({"lstm_layers": 10**9}, False),
        ({"distillation_head_dim": 1 << 31}, True),
    ],
}


@pytest.mark.skipif(sys.platform != "linux", reason="reads its memory from /proc")
@pytest.mark.parametrize("family", list(HUGE))
def test_a_small_file_that_states_a_huge_model_is_refused_before_it_is_made(family: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", LIARS, family, str(tmp_path / "m.safetensors")]
    asked = [*HUGE[family], ({}, True)]  # the last one is no lie
    lines = "".join(json.dumps(one) + "\n" for one in asked)
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    *told, honest = done.stdout.splitlines()
    assert [line.partition(" ")[0] for line in told] == ["refused:"] * len(HUGE[family]), done.stdout
    assert honest == "loaded"


@pytest.fixture(scope="module")
def mimi_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mimi")
    _mimi(folder)
    return folder


@pytest.mark.parametrize("wrong", ["huge-length", "nested", "overlapping", "beyond-the-file", "other-tensors"])
def test_transformers_codecs_refuse_it_too(wrong: str, mimi_folder: Path) -> None:
    (mimi_folder / "model.safetensors").write_bytes(WRONG_HEADERS[wrong])
    _refusal(LOADERS[0], mimi_folder)


# Where plain pickle is used: between two of our own processes, never for what comes from a file or a network.
OWN_PICKLES = {"codecbench/pristine.py", "codecbench/conformance/repeats.py", "codecbench/conformance/subject.py"}
UNPICKLING = {("pickle", "load"), ("pickle", "loads"), ("pickle", "Unpickler"), ("joblib", "load"), ("dill", "load"),
              ("dill", "loads"), ("marshal", "load"), ("marshal", "loads"), ("shelve", "open"), ("cloudpickle", "load"),
              ("cloudpickle", "loads"), ("yaml", "load"), ("yaml", "unsafe_load"), ("pd", "read_pickle"),
              ("pandas", "read_pickle")}  # fmt: skip


def _calls() -> Iterator[tuple[str, ast.Call]]:
    for top in ("codecbench", "plugins", "tasks", "reports", "scripts", "benchmarks"):
        for path in sorted((REPOSITORY / top).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call):
                    yield path.relative_to(REPOSITORY).as_posix(), node


def _called(call: ast.Call) -> tuple[str, str]:
    function = call.func
    if isinstance(function, ast.Attribute):
        return (function.value.id if isinstance(function.value, ast.Name) else "?", function.attr)
    return ("", function.id if isinstance(function, ast.Name) else "")


def _keyword(call: ast.Call, name: str) -> object:
    return next((k.value.value for k in call.keywords if k.arg == name and isinstance(k.value, ast.Constant)), None)


def test_nothing_in_the_tree_unpickles_files() -> None:
    loads, pickles, others = [], set(), []
    for path, call in _calls():
        called = _called(call)
        if called == ("torch", "load"):
            loads.append((path, _keyword(call, "weights_only")))
        elif called in UNPICKLING:
            pickles.add(path)
        elif called in {("np", "load"), ("numpy", "load")} and _keyword(call, "allow_pickle") not in (None, False):
            others.append((path, "allow_pickle"))
        elif _keyword(call, "trust_remote_code") or called in {("", "eval"), ("", "exec")}:
            others.append((path, called[1]))
    assert loads, "the search finds nothing: it is broken"
    assert {path for path, weights_only in loads if weights_only is not True} == set()
    assert pickles <= OWN_PICKLES
    assert others == []


def test_the_documents_say_that_a_plugin_is_code() -> None:
    for name in ("plugins.md", "isolation.md"):
        assert "it runs with your rights" in " ".join((REPOSITORY / "docs" / name).read_text("utf-8").split())
