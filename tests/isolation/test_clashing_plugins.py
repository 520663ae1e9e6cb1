"""Two versions of one package that cannot live together, each in the codec that needs it, in one benchmark run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from codecbench import Bitstream
from codecbench.results import RunResults
from tests.isolation.conftest import build
from tests.isolation.made_up import write_plugin
from tests.runner.conftest import TOY, write_corpus

# Each packs with what its version alone has; both releases are one pure Python module without requirements.
_PACKED = "library.pack('%d*uint:8' % len(levels), *levels))[1].tobytes()"
BITSTRING = {
    "bits_three": ("3.1.9", f"(library.set_lsb0(False), {_PACKED}"),
    "bits_four": ("4.0.1", f"(library.lsb0, {_PACKED}"),
}


def run_both(folder: Path, files: list[Path], names: list[str], cache: Path, *more: str) -> tuple[int, RunResults]:
    """Run the codecs of ``files`` over utterances called ``names``; returns the exit code and the results.

    In a process of its own: workers see the environment variables that the first of them was started with.
    """
    (folder / "corpus").mkdir()
    corpus = write_corpus(folder / "corpus", names)
    codecs = ",".join(["toy-ceiling", *(file.stem.replace("_", "-") for file in files)])
    command = [sys.executable, "-m", "codecbench", "run", "--codecs", codecs, "--corpus", str(corpus)]
    command += ["--tasks", "toy-task", "--reports", "tables", "--workers", "1", "--out", str(folder / "run"), *more]
    command += [argument for file in (TOY, *files) for argument in ("--plugin", str(file))]
    done = subprocess.run(
        command, env={**os.environ, "CODECBENCH_CACHE": str(cache)}, capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 3), done.stderr
    return done.returncode, RunResults.load(folder / "run")


def library_versions(results: RunResults, codec: str) -> set[int]:
    """Major version of the library, as each payload of a codec begins with it."""
    artifacts = results.artifacts
    coded = [artifacts.tokens(codec, utterance) for utterance in artifacts.utterances]
    return {encoded.payloads[0][0] for encoded in coded if isinstance(encoded, Bitstream)}


def test_one_run_holds_codecs_that_clash_and_survives_their_crashes(
    environments: dict[str, Path], tmp_path: Path
) -> None:
    files = [environments["levels_one"], environments["levels_two"]]
    code, results = run_both(tmp_path, files, ["a", "segfault", "b"], environments["cache"])
    assert code == 3
    assert library_versions(results, "levels-one") == {1}
    assert library_versions(results, "levels-two") == {2}
    records = results.records
    for codec in ("levels-one", "levels-two"):
        rows = records[(records.codec == codec) & (records.metric == "toy_error")].set_index("utterance_id")
        assert rows.status.to_dict() == {"a": "ok", "b": "ok", "segfault": "backend_error"}
        assert "SIGSEGV" in rows.reason["segfault"]
    info = {codec.label: codec for codec in results.info.codecs}
    assert info["levels-one"].identity["environment"]["levelpacker"] == "1.0"
    assert info["levels-two"].identity["environment"]["levelpacker"] == "2.0"


def test_a_codec_that_is_unavailable_only_in_its_environment_makes_the_run_partial(
    environments: dict[str, Path], tmp_path: Path
) -> None:
    files = [environments["levels_one"], environments["levels_two"]]
    code, results = run_both(tmp_path, files, ["a", "b"], environments["cache"], "--set", "levels-one.fault=refuse")
    assert code == 3
    rows = results.records[results.records.codec == "levels-one"]
    assert set(rows[rows.metric == "toy_error"].status) == {"unavailable"}
    unavailable = {codec.label: codec.unavailable for codec in results.info.codecs if codec.unavailable}
    assert unavailable == {"levels-one": "its weights are not here (fetch them)"}


@pytest.fixture(scope="module")
def bitstring_wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheels of two real releases; skips where no package index answers."""
    folder = tmp_path_factory.mktemp("bitstring")
    for version, _ in BITSTRING.values():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        options = ["--retries", "1", "--timeout", "15", "--dest", str(folder), f"bitstring=={version}"]
        done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"bitstring {version} cannot be fetched from a package index: {done.stderr.strip()[-200:]}")
    return folder


@pytest.mark.slow
def test_two_releases_of_a_real_package_in_one_run(
    bitstring_wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", "--find-links"]
    both = [str(bitstring_wheels), *(f"bitstring=={version}" for version, _ in BITSTRING.values())]
    refused = subprocess.run([*together, *both], capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "conflict" in refused.stderr
    monkeypatch.setenv("CODECBENCH_CACHE", str(tmp_path / "cache"))
    files = [write_plugin(tmp_path, name, "bitstring", *facts) for name, facts in BITSTRING.items()]
    for file in files:
        build(file, "--wheels", str(bitstring_wheels), "--inherit")
    code, results = run_both(tmp_path, files, ["a", "b"], tmp_path / "cache")
    assert code == 0
    assert library_versions(results, "bits-three") == {3}
    assert library_versions(results, "bits-four") == {4}
