"""The example plugin of the tutorial: installed from its own folder into an environment of its own, and run."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLE = REPOSITORY / "docs" / "example_plugin"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that has the example plugin installed, and sees this one's packages for the rest."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    site = next((folder / "lib").glob("python*")) / "site-packages"
    ours = sysconfig.get_paths()["purelib"]
    (site / "parent.pth").write_text(f"import site; site.addsitedir({ours!r})\n", "utf-8")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--target", str(site), str(EXAMPLE)], check=True)
    return folder / "bin" / "python"


def _codecbench(python: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(python), "-m", "codecbench", *arguments], capture_output=True, text=True, check=False, cwd="/"
    )


def test_an_author_writes_thirty_lines_at_most() -> None:
    source = (EXAMPLE / "codecbench_example" / "__init__.py").read_text("utf-8")
    assert len([line for line in source.splitlines() if line.strip()]) <= 30


def test_it_is_found_by_its_entry_point_alone(python: Path) -> None:
    assert "codecbench_example" not in sys.modules
    plugins = json.loads(_codecbench(python, "plugins", "--json").stdout)
    mine = next(p for p in plugins if p["name"] == "example")
    assert mine["distribution"] == "codecbench-example"
    assert mine["error"] is None


def test_it_conforms(python: Path) -> None:
    done = _codecbench(python, "check", "example-dct")
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_runs_beside_the_built_in_codecs(python: Path, tmp_path: Path) -> None:
    arguments = ("--codecs", "example-dct,example-dct@4", "--limit", "3", "--tasks", "reconstruction,token_rate")
    done = _codecbench(python, "run", *arguments, "--out", str(tmp_path / "run"))
    assert done.returncode == 0, done.stdout + done.stderr
    import pandas as pd

    records = pd.read_parquet(tmp_path / "run" / "records")
    stoi = records[records.metric == "stoi"].groupby("codec").value.mean()
    assert stoi["identity"] > stoi["example-dct"] > stoi["example-dct@4"] > 0
    rate = records[(records.metric == "bitrate_bps") & (records.codec == "example-dct")].value
    assert ((rate >= 6400) & (rate < 6500)).all()
