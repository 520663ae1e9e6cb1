"""``codecbench recorded``: what a manifest of recorded outputs holds, page by page."""

from __future__ import annotations

import json
from pathlib import Path

import click

from codecbench.errors import unknown_name
from codecbench_recorded.manifest import read_recordings
from codecbench_recorded.pages import Page, pages


@click.command(help="List the pages and systems of a manifest of recorded outputs.")
@click.argument("manifest", type=click.Path(exists=True, path_type=Path))
@click.option("--page", help="Only this page.")
@click.option("--names", is_flag=True, help="Print the systems as a value for --codecs.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(manifest: Path, page: str | None, names: bool, as_json: bool) -> None:
    """Print the pages, their systems and how many originals each was recorded on."""
    recordings = read_recordings(manifest)
    found = pages(recordings)
    if page is not None:
        if page not in {p.name for p in found}:
            raise unknown_name("page", page, [p.name for p in found])
        found = tuple(p for p in found if p.name == page)
    if names:
        systems = dict.fromkeys(system for p in found for system in p.systems)
        click.echo(",".join(f"recorded:{system}" for system in systems))
    elif as_json:
        click.echo(json.dumps([{"page": p.name, "systems": p.systems, "common": p.common_ids()} for p in found]))
    else:
        for p in found:
            _print(p)
    for problem in recordings.problems:
        click.echo(f"not used: {problem.reason}", err=True)


def _print(page: Page) -> None:
    click.echo(f"{page.name or '(no page)'}: {len(page.common_ids())} originals common to all systems")
    for system, ids in page.systems.items():
        click.echo(f"  recorded:{system}  {len(ids)}")
