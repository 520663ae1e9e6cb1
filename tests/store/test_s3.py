"""A store on S3, for real over HTTP: a server in this process, the run's processes as its clients.

Each test works in a process of its own: the server that workers are forked from keeps the environment in which it
started, and clients of S3 are cached with their address.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from codecbench.cli.store import store_command
from codecbench.runner.config import RunConfig
from codecbench.runner.run import run
from codecbench.store.places import StorePath
from codecbench.store.shards import shards
from tests.runner.conftest import TOY, write_corpus
from tests.runner.test_faults import values

BUCKET = "codecbench"
STORE = f"s3://{BUCKET}/store"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def server() -> Iterator[dict[str, str]]:
    """The environment in which clients find a server of their own with an empty bucket."""
    pytest.importorskip("s3fs", reason="s3fs is not installed (pip install 'codecbench[remote]')")
    moto_server = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    import boto3

    server = moto_server.ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host.replace('0.0.0.0', '127.0.0.1')}:{port}"
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    boto3.client("s3", endpoint_url=url, region_name="us-east-1", **keys).create_bucket(Bucket=BUCKET)
    yield {name.upper(): value for name, value in keys.items()} | {
        "AWS_ENDPOINT_URL": url,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    server.stop()


def alone(work: Callable[[Path], None], folder: Path, environment: dict[str, str]) -> None:
    """Do ``work`` in a process of its own."""
    code = f"import sys, pathlib; from {__name__} import {work.__name__}; {work.__name__}(pathlib.Path(sys.argv[1]))"
    paths = os.pathsep.join([str(ROOT), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        env=os.environ | environment | {"PYTHONPATH": paths},
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def toy_config(folder: Path) -> RunConfig:
    """A run of four utterances with its store on S3; ``folder/count`` counts what is scored."""
    (folder / "corpus").mkdir()
    return RunConfig(
        folder / "there",
        ("toy-ceiling", "toy"),
        str(write_corpus(folder / "corpus", ["a", "b", "c", "d"])),
        ("toy-task",),
        reports=("tables",),
        workers=1,
        plugin_files=(TOY,),
        store=STORE,
        settings={"toy-level": {"counter": str(folder / "count")}},
    )


def changed(config: RunConfig, **changes: object) -> RunConfig:
    """``config`` with other values."""
    return RunConfig(**vars(config) | changes)


def local_runs(folder: Path) -> None:
    there = toy_config(folder)
    first = run(there)
    again = run(changed(there, out=folder / "again", workers=2))
    assert len((folder / "count").read_text().splitlines()) == 8
    here = run(changed(there, out=folder / "here", store=None))
    for outcome in (first, again):
        pd.testing.assert_frame_equal(values(here.folder), values(outcome.folder))
    assert again.results.artifacts.tokens("toy", "c") is not None

    listed = CliRunner().invoke(store_command, ["ls", STORE, "--json"], standalone_mode=False)
    rows = {(row["kind"], row["codec"]): row for row in json.loads(listed.output)}
    assert rows["tokens", "toy"]["entries"] == 4
    assert rows["tokens", "toy"]["age_s"] is not None
    shard = shards(StorePath.of(STORE) / "tokens" / rows["tokens", "toy"]["id"])[0]
    shard.write(shard.read()[:-9])
    found = CliRunner().invoke(store_command, ["verify", STORE, "--repair"], standalone_mode=False)
    assert f"{shard}: its checksum" in found.output
    assert shards(shard.parent) == []
    gone = CliRunner().invoke(store_command, ["gc", STORE, "--keep", str(here.folder), "--yes"], standalone_mode=False)
    assert "1 files" in gone.output
    assert not [file for file in StorePath.of(STORE).walk() if file.path.name.endswith(".corrupt")]


def ray_after_local(folder: Path) -> None:
    there = toy_config(folder)
    run(changed(there, limit=1))
    begun = len((folder / "count").read_text().splitlines())
    by_ray = run(changed(there, out=folder / "ray", engine="ray"))
    assert (begun, len((folder / "count").read_text().splitlines())) == (2, 8), "what was scored is not scored again"
    here = run(changed(there, out=folder / "here", store=None))
    pd.testing.assert_frame_equal(values(here.folder), values(by_ray.folder))
    assert by_ray.results.artifacts.tokens("toy", "c") is not None


def compacted(folder: Path) -> None:
    there = toy_config(folder)
    for limit in (1, 2, 4):
        run(changed(there, out=folder / f"first-{limit}", limit=limit))
    done = CliRunner().invoke(store_command, ["compact", STORE, "--json"], standalone_mode=False)
    tokens = [row for row in json.loads(done.output) if row["kind"] == "tokens" and row["codec"] == "toy"]
    assert [(row["before"], row["after"]) for row in tokens] == [(3, 1)]
    after = run(changed(there, out=folder / "after"))
    assert len((folder / "count").read_text().splitlines()) == 8
    pd.testing.assert_frame_equal(values(folder / "first-4"), values(after.folder))


def test_a_run_with_its_store_on_s3(server: dict[str, str], tmp_path: Path) -> None:
    alone(local_runs, tmp_path, server)


def test_a_store_on_s3_is_compacted(server: dict[str, str], tmp_path: Path) -> None:
    alone(compacted, tmp_path, server)


@pytest.mark.slow
def test_a_ray_run_with_its_store_on_s3_goes_on_with_what_a_local_run_began(
    server: dict[str, str], tmp_path: Path
) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'codecbench[ray]'")
    alone(ray_after_local, tmp_path, server)
