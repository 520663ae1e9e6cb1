"""Whole runs as processes: interrupted, killed, side by side on one store, on a full disk, on a store elsewhere."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from codecbench.errors import UsageError
from codecbench.runner.run import RunOutcome
from codecbench.store.places import StoreError, StorePath
from codecbench.store.shards import read_shards
from tests.runner.conftest import TOY, write_corpus
from tests.runner.test_faults import FAULTY, undisturbed, values

Start = Callable[..., RunOutcome]
REPOSITORY = Path(__file__).resolve().parent.parent.parent


def start_run(corpus: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    """Start ``codecbench run`` in a session of its own."""
    command = [
        *(sys.executable, "-m", "codecbench", "run", "--codecs", "toy-ceiling,toy", "--corpus", str(corpus)),
        *(
            "--out",
            str(out),
            "--tasks",
            "toy-task",
            "--reports",
            "tables",
            "--workers",
            "1",
            "--plugin",
            str(TOY),
            *more,
        ),
    ]
    return subprocess.Popen(
        command,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=REPOSITORY,
        # A shell's background job ignores Ctrl-C and hands that on, where a terminal's job does not.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def session(leader: int) -> list[int]:
    """Processes of a session that are alive."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            state, _, _, sid = stat.read_text().rpartition(")")[2].split()[:4]
            if int(sid) == leader and state != "Z":
                found.append(int(stat.parent.name))
    return found


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """What an undisturbed run over the corpus of ``toy_run`` finds for its two codecs."""
    found = undisturbed(tmp_path_factory.mktemp("truth"))
    return found[found.codec != "toy@1"].reset_index(drop=True)


def wait_until(condition: Callable[[], object], seconds: float) -> bool:
    """Wait for a condition; says whether it came true."""
    end = time.monotonic() + seconds
    while not (true := bool(condition())) and time.monotonic() < end:
        time.sleep(0.05)
    return true


linux = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


@linux
def test_ctrl_c_stops_cleanly_says_how_to_go_on_and_keeps_what_is_done(
    toy_run: Start, corpus: Path, tmp_path: Path
) -> None:
    counter = tmp_path / "count"
    slow = ("--set", "toy-level.delay_s=0.5", "--set", f"toy-level.counter={counter}")
    process = start_run(corpus, tmp_path / "run", *slow)
    assert wait_until(lambda: counter.exists() and len(counter.read_text().splitlines()) >= 3, 240)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "stopped; what is done is kept: the same command goes on from there" in output
    assert "Traceback" not in output
    assert wait_until(lambda: not session(process.pid), 20), "worker processes are left"
    stored = [table for folder in (tmp_path / "run" / "store" / "scores").iterdir() for table in read_shards(folder)]
    assert sum(len(table) for table in stored) >= 4  # two measurements each of two utterances at least
    before = len(counter.read_text().splitlines())
    resumed = toy_run(settings={"toy-level": {"counter": str(counter)}})
    assert not resumed.partial
    assert len(counter.read_text().splitlines()) - before < 20  # some of the 20 were not done again


@linux
def test_workers_end_with_a_driver_that_is_killed_even_where_a_plugin_hangs(tmp_path: Path) -> None:
    folder, log = tmp_path / "corpus", tmp_path / "log"
    folder.mkdir()
    corpus = write_corpus(folder, ["culprit"])
    faulty = ("--plugin", str(FAULTY), "--set", "faulty.fault=hang", "--set", f"faulty.log={log}")
    process = start_run(corpus, tmp_path / "run", *faulty, "--codecs", "faulty")
    assert wait_until(log.exists, 240)
    workers = set(session(process.pid)) - {process.pid}
    assert len(workers) >= 2  # the fork server and the codec's process
    process.kill()
    process.communicate()
    assert wait_until(lambda: not session(process.pid), 20), "worker processes outlive their driver"


def test_two_runs_at_once_on_one_store_lose_nothing(
    toy_run: Start, corpus: Path, tmp_path: Path, truth: pd.DataFrame
) -> None:
    store = tmp_path / "store"
    together = [start_run(corpus, tmp_path / name, "--store", str(store)) for name in ("one", "two")]
    for process in together:
        output, _ = process.communicate(timeout=400)
        assert process.returncode == 0, output
    for name in ("one", "two"):
        pd.testing.assert_frame_equal(truth, values(tmp_path / name))
    assert not list(store.rglob("*.corrupt"))
    assert not list(store.rglob(".*.tmp"))
    shards = len(list(store.rglob("*.parquet")))
    toy_run(out=tmp_path / "three", store=store)
    assert len(list(store.rglob("*.parquet"))) == shards  # nothing was missing


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte; skips where none can be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no small disk can be mounted here: {error}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_ends_the_run_and_with_space_it_goes_on(
    toy_run: Start, small_disk: Path, truth: pd.DataFrame
) -> None:
    store, ballast = small_disk / "store", small_disk / "ballast"
    page = os.sysconf("SC_PAGE_SIZE")
    for pages in (1, 6, 9):  # full at several places of the run
        ballast.unlink(missing_ok=True)
        free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
        ballast.write_bytes(b"\0" * (free - pages * page))
        with pytest.raises(StoreError, match=r"No space left on device.*free space"):
            toy_run(store=store)
        assert not list(small_disk.rglob(".*.tmp"))
    ballast.unlink()
    resumed = toy_run(store=store)
    pd.testing.assert_frame_equal(truth, values(resumed.folder))


def test_a_store_elsewhere_holds_tokens_and_scores_written_by_the_workers(
    toy_run: Start, tmp_path: Path, truth: pd.DataFrame
) -> None:
    counter = tmp_path / "count"
    elsewhere = {
        "store": f"testfolder://{tmp_path}/elsewhere",
        "plugin_files": (TOY, FAULTY),
        "settings": {"toy-level": {"counter": str(counter)}},
    }
    first = toy_run(**elsewhere)
    again = toy_run(out=tmp_path / "again", workers=2, **elsewhere)
    assert len(counter.read_text().splitlines()) == 20  # each utterance of each codec once, in both runs together
    for outcome in (first, again):
        pd.testing.assert_frame_equal(truth, values(outcome.folder))
    assert first.results.artifacts.tokens("toy", "u3") is not None
    assert first.results.artifacts.audio("toy", "u3") is None
    names = {file.path.name for file in StorePath.of(elsewhere["store"]).walk()}  # type: ignore[arg-type]
    assert not [name for name in names if name.endswith(".tmp")]
    with pytest.raises(UsageError, match="--no-audio"):
        toy_run(keep_audio=True, **elsewhere)
