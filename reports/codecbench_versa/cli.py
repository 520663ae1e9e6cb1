"""``codecbench versa-import``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("versa-import")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("scores", type=click.Path(path_type=Path))
@click.option("--codec", required=True, metavar="NAME", help="The codec of the run that the scores are of.")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="The run to write.")
def versa_import(run: Path, scores: Path, codec: str, out: Path) -> None:
    """Write a copy of RUN with VERSA's JSON lines SCORES of one codec as further metrics (versa_NAME).

    Give the copy as RUN again to add the next codec. Audio and tokens stay where they lie.
    """
    from codecbench.combining import save_combined
    from codecbench.reporting import check_run_folder
    from codecbench.results import RunResults
    from codecbench_versa.scores import read_scores, with_scores

    results = with_scores(RunResults.load(check_run_folder(run)), codec, read_scores(scores))
    for stale in (out / "records").glob("*.parquet"):
        stale.unlink()
    save_combined(results, out)
    click.echo(out)
