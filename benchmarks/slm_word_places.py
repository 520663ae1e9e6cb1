"""How far a speech language model reads: the share of words said rightly at each place of a matrix sentence.

    python benchmarks/slm_word_places.py runs/slm/results

Takes a run folder of ``codecbench slm eval`` or ``compare`` on sentences of one form
(``scripts/make_matrix_speech.py``) and prints a row for each codec. Word by word chance is 10 %: a model that says
fluent sentences of its own gets no more.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import jiwer

from codecbench.results import RunResults

METRIC = "tts_wer"


def pairs(results: RunResults, codec: str) -> Iterator[tuple[str, str]]:
    """Yield text and hypothesis of every utterance and seed."""
    frame = results.records
    for detail in frame[(frame["metric"] == METRIC) & (frame["codec"] == codec)]["detail"]:
        said = json.loads(detail)
        yield from ((row["reference"], row["hypothesis"]) for row in said.get("seeds", [said]))


def right_places(reference: str, hypothesis: str) -> set[int]:
    """Places of the words of ``reference`` that a minimal alignment finds in ``hypothesis``."""
    (chunks,) = jiwer.process_words(reference, hypothesis).alignments
    return {place for c in chunks if c.type == "equal" for place in range(c.ref_start_idx, c.ref_end_idx)}


def shares(found: list[tuple[str, str]]) -> list[float]:
    """Per cent of the sentences whose word at each place is right, over those of the commonest length."""
    (length, _), *_ = Counter(len(reference.split()) for reference, _ in found).most_common(1)
    right = [right_places(reference, said) for reference, said in found if len(reference.split()) == length]
    return [100 * sum(place in row for row in right) / len(right) for place in range(length)]


def main() -> None:
    """Print a row for each codec."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    results = RunResults.load(parser.parse_args().run)
    for codec in results.codecs:
        found = list(pairs(results, codec))
        if found:
            print(f"{codec:24} " + " ".join(f"{share:5.0f}" for share in shares(found)) + f"   {len(found)} sentences")


if __name__ == "__main__":
    main()
