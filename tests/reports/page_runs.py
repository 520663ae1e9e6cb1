"""Runs for tests of the page: hostile names everywhere, and audio and tokens behind the records."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
import torch

from codecbench.artifacts import Artifact, write_artifacts
from codecbench.contracts.encoded import single_stream
from codecbench.results import RunResults
from codecbench.runinfo import Flag
from codecbench.store.audio import AudioStore
from codecbench.store.packing import pack
from codecbench.store.tokens import TokenStore
from tests.factories import IDENTITY, NOISE, RECOGNISER, FakeCodec, make_results, rvq, write_run
from tests.reports.hostile import HOSTILE

STEPS = ((1, 0.2), (2, 0.35), (4, 0.5), (8, 0.7))
SECONDS, RATE_HZ = 3.0, 16000
ATTACK = '"><img src=x onerror="window.hacked=1"><script>window.hacked=1</script>\u202e&amp;\' onclick=\'hacked=1'


def plain_run(num_utterances: int = 40) -> RunResults:
    """Return a run of two families of four rates, a lone codec, a ceiling and a floor."""
    better = [(k, q + 0.12) for k, q in STEPS]
    codecs = (IDENTITY, NOISE, *rvq("one", 50.0, STEPS), *rvq("two", 50.0, better), FakeCodec("lone", 0.6, 6000.0))
    failing = replace(codecs[-1], failing=((0, "out_silent"), (1, "backend_error")))
    return make_results((*codecs[:-1], failing), num_utterances)


def hostile_run() -> RunResults:
    """Return a run whose ids, labels, transcripts, reasons, settings and notes attack the page."""
    made = plain_run(24)
    nasty = [ATTACK, *HOSTILE]
    names = {"lone": ATTACK, "one@1": "__proto__", "two@1": HOSTILE[8]}
    frame = made.records.copy()
    frame["codec"] = frame["codec"].astype(str).map(lambda label: names.get(label, label))
    ids = sorted(set(frame["utterance_id"].astype(str)) - {""})
    renamed = {old: nasty[i] if i < len(nasty) else old for i, old in enumerate(ids)}
    frame["utterance_id"] = frame["utterance_id"].astype(str).map(lambda name: renamed.get(name, name))
    frame["reason"] = np.where(frame["status"] == "ok", "", [nasty[i % len(nasty)] for i in range(len(frame))])
    detail = json.dumps({"reference": f"a {ATTACK} b", "hypothesis": f"a b {HOSTILE[0]}"})
    frame["detail"] = np.where(frame["metric"].astype(str) == "wer", detail, "")
    info = made.info
    codecs = tuple(replace(c, label=names.get(c.label, c.label), notes=(ATTACK,)) for c in info.codecs)
    lost = replace(codecs[-1], label="lost", unavailable=ATTACK, remedy=HOSTILE[0])
    info = replace(
        info, name=ATTACK, codecs=(*codecs, lost), command=("codecbench", ATTACK), settings={"x": {"y": ATTACK}},
        corpus=replace(info.corpus, name=ATTACK, notes=(ATTACK,)), flags=(Flag("delay", ATTACK, "stoi", ATTACK),),
        metrics=tuple(replace(m, description=ATTACK, source=HOSTILE[0]) for m in info.metrics),
        recognizers={RECOGNISER: {"family": ATTACK}},
    )  # fmt: skip
    return RunResults.from_frame(info, frame)


def audible_run(folder: Path, results: RunResults, count: int = 6) -> RunResults:
    """Write ``results`` with decoded audio (a tone, louder for each codec) and tokens for ``count`` utterances."""
    write_run(results, folder)
    ids = list(dict.fromkeys(str(i) for i in results.records["utterance_id"] if i))[:count]
    audio, tokens = AudioStore(folder / "store" / "audio"), TokenStore(folder / "store" / "tokens")
    time_s = np.arange(int(SECONDS * RATE_HZ)) / RATE_HZ
    artifacts = []
    for u, name in enumerate(ids):
        reference = folder / f"reference-{u}.wav"
        soundfile.write(reference, 0.3 * np.sin(2 * np.pi * 300 * time_s), RATE_HZ)
        codes = torch.randint(0, 1024, (1, 4, 150), generator=torch.Generator().manual_seed(u))
        encoded = single_stream(
            codes, num_frames=torch.tensor([150]), num_samples=torch.tensor([48000]), frame_rate_hz=50.0,
            codebook_sizes=(1024,) * 4,
        )  # fmt: skip
        packed = pack(encoded)
        assert packed is not None
        tokens.append({f"t{u}": packed})
        for c, codec in enumerate(results.info.codecs):
            if codec.unavailable:
                continue
            key = f"{u}-{c}"
            audio.put(key, (0.1 + 0.05 * c) * np.sin(2 * np.pi * (300 + 40 * c) * time_s).astype(np.float32), RATE_HZ)
            file, books = f"store/audio/{key}.flac", 2 if codec.label == "one@2" else None
            text = f"what {ATTACK} says"
            artifacts.append(Artifact(codec.label, name, text, reference.name, file, "store/tokens", f"t{u}", books))
    write_artifacts(folder, artifacts)
    return RunResults.load(folder)
