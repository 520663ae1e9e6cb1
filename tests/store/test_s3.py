"""A store on S3, for real over HTTP: a server in this process, the run's processes as its clients."""

from __future__ import annotations

import json
from collections.abc import Iterator
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

pytest.importorskip("s3fs", reason="s3fs is not installed (pip install 'codecbench[remote]')")
moto_server = pytest.importorskip("moto.server", reason="moto[server] is not installed")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty bucket on a server of its own."""
    import boto3

    server = moto_server.ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host.replace('0.0.0.0', '127.0.0.1')}:{port}"
    for name, value in {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3").create_bucket(Bucket="codecbench")
    yield "s3://codecbench/store"
    server.stop()


def test_a_run_with_its_store_on_s3(bucket: str, tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    corpus = str(write_corpus(tmp_path / "corpus", ["a", "b", "c", "d"]))
    counter = tmp_path / "count"
    there = RunConfig(
        tmp_path / "there",
        ("toy-ceiling", "toy"),
        corpus,
        ("toy-task",),
        reports=("tables",),
        workers=1,
        plugin_files=(TOY,),
        store=bucket,
        settings={"toy-level": {"counter": str(counter)}},
    )
    first = run(there)
    again = run(RunConfig(**vars(there) | {"out": tmp_path / "again", "workers": 2}))
    assert len(counter.read_text().splitlines()) == 8
    here = run(RunConfig(**vars(there) | {"out": tmp_path / "here", "store": None}))
    for outcome in (first, again):
        pd.testing.assert_frame_equal(values(here.folder), values(outcome.folder))
    assert again.results.artifacts.tokens("toy", "c") is not None

    listed = CliRunner().invoke(store_command, ["ls", bucket, "--json"], standalone_mode=False)
    rows = {(row["kind"], row["codec"]): row for row in json.loads(listed.output)}
    assert rows["tokens", "toy"]["entries"] == 4
    assert rows["tokens", "toy"]["age_s"] is not None
    shard = shards(StorePath.of(bucket) / "tokens" / rows["tokens", "toy"]["id"])[0]
    shard.write(shard.read()[:-9])
    found = CliRunner().invoke(store_command, ["verify", bucket, "--repair"], standalone_mode=False)
    assert f"{shard}: its checksum" in found.output
    assert shards(shard.parent) == []
    gone = CliRunner().invoke(store_command, ["gc", bucket, "--keep", str(here.folder), "--yes"], standalone_mode=False)
    assert "1 files" in gone.output
    assert not [file for file in StorePath.of(bucket).walk() if file.path.name.endswith(".corrupt")]


@pytest.mark.slow
def test_a_ray_run_with_its_store_on_s3_resumes_what_a_local_run_began(bucket: str, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'codecbench[ray]'")
    (tmp_path / "corpus").mkdir()
    corpus = str(write_corpus(tmp_path / "corpus", ["a", "b", "c", "d"]))
    counter = tmp_path / "count"
    begun = RunConfig(
        tmp_path / "begun",
        ("toy-ceiling", "toy"),
        corpus,
        ("toy-task",),
        reports=("tables",),
        limit=1,
        workers=1,
        plugin_files=(TOY,),
        store=bucket,
        settings={"toy-level": {"counter": str(counter)}},
    )
    run(begun)
    by_ray = run(RunConfig(**vars(begun) | {"out": tmp_path / "ray", "limit": None, "engine": "ray"}))
    assert len(counter.read_text().splitlines()) == 8, "the utterance that was scored before is not scored again"
    here = run(RunConfig(**vars(begun) | {"out": tmp_path / "here", "limit": None, "store": None}))
    pd.testing.assert_frame_equal(values(here.folder), values(by_ray.folder))
    assert by_ray.results.artifacts.tokens("toy", "c") is not None
