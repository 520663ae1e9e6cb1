"""Token rates from real counts, tokens per word and text token, and codebook statistics with known answers."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from task_testing import RATE_HZ, item, make, record

import codecbench_token_rate
from codecbench import (
    AudioPassthrough,
    Bitstream,
    CodecSpec,
    CodecView,
    Measurement,
    Status,
    StreamSpec,
    Tokens,
    TokenStream,
    Unavailable,
    Utterance,
    Waveforms,
    single_stream,
)
from codecbench_token_rate.codebooks import CodebookScorer
from codecbench_token_rate.entropy import entropy_bits, plug_in_entropy_bits
from codecbench_token_rate.rates import RateScorer
from codecbench_token_rate.text_tokens import TextTokenScorer

SECONDS = 2.0
AUDIO = np.full(int(SECONDS * RATE_HZ), 0.1, np.float32)


def _stream(name: str, frames: int, sizes: Sequence[int], rate_hz: float, side: float | None = None) -> TokenStream:
    return TokenStream(
        name,
        torch.zeros(1, len(sizes), frames, dtype=torch.int64),
        torch.tensor([frames]),
        rate_hz,
        tuple(sizes),
        side_info_bits=None if side is None else torch.tensor([side]),
    )


def _tokens(*streams: TokenStream) -> Tokens:
    return Tokens(streams, torch.tensor([len(AUDIO)]))


def _found(measurements: Sequence[Measurement]) -> dict[tuple[str, str], Measurement]:
    return {(m.metric, m.component): m for m in measurements}


def test_rates_count_real_tokens_of_all_streams() -> None:
    """26 frames where 25 were nominal: the padded last frame is paid for."""
    tokens = _tokens(_stream("semantic", 26, [1024], 12.5), _stream("acoustic", 51, [1024, 512, 512], 25.0, side=7.0))
    found = _found(RateScorer().score(item(AUDIO, None, text="four words are here", encoded=tokens)))
    assert found["frame_rate_hz", "semantic"].value == 13.0
    assert found["frame_rate_hz", "acoustic"].value == 25.5
    assert found["token_rate", ""].value == (26 + 3 * 51) / SECONDS
    bits = 26 * 10 + 51 * (10 + 9 + 9) + 7
    assert (found["bitrate_bps", ""].numerator, found["bitrate_bps", ""].denominator) == (bits, SECONDS)
    assert found["tokens_per_word", ""].value == (26 + 3 * 51) / 4


def test_a_codebook_of_any_size_costs_its_logarithm() -> None:
    found = _found(RateScorer().score(item(AUDIO, None, encoded=_tokens(_stream("codes", 10, [1000], 5.0)))))
    assert found["bitrate_bps", ""].value == pytest.approx(10 * math.log2(1000) / SECONDS)


def test_global_tokens_cost_bits_but_have_no_frame_rate() -> None:
    found = _found(RateScorer().score(item(AUDIO, None, encoded=_tokens(_stream("speaker", 32, [4096], 0.0)))))
    assert found["frame_rate_hz", "speaker"].status is Status.NOT_APPLICABLE
    assert found["bitrate_bps", ""].value == 32 * 12 / SECONDS


@pytest.mark.parametrize("text", [None, "", "   "])
def test_no_text_means_no_tokens_per_word(text: str | None) -> None:
    tokens = _tokens(_stream("codes", 10, [8], 5.0))
    found = _found(RateScorer().score(item(AUDIO, None, text=text, encoded=tokens)))
    assert found["tokens_per_word", ""].status is Status.NO_TEXT


def test_a_bit_stream_has_its_exact_bits_and_no_tokens() -> None:
    coded = Bitstream((b"12345678",), torch.tensor([len(AUDIO)]), bits=(61,))
    found = _found(RateScorer().score(item(AUDIO, None, text="words", encoded=coded)))
    assert found["bitrate_bps", ""].value == 61 / SECONDS
    for metric in ("frame_rate_hz", "token_rate", "tokens_per_word"):
        assert found[metric, ""].status is Status.NOT_APPLICABLE


def _passed(bitrate: tuple[float | None, ...] | None) -> AudioPassthrough:
    waves = Waveforms(torch.zeros(1, 1, 8), torch.tensor([8]), RATE_HZ)
    return AudioPassthrough(waves, torch.tensor([8]), bitrate, "the paper's table 2")


def test_a_stated_bit_rate_names_its_source() -> None:
    measured = _found(RateScorer().score(item(AUDIO, None, encoded=_passed((1100.0,)))))["bitrate_bps", ""]
    assert measured.value == 1100.0
    assert json.loads(measured.detail) == {"stated_by": "the paper's table 2"}


@pytest.mark.parametrize("encoded", [None, _passed(None), _passed((None,))])
def test_what_is_not_coded_has_no_rate(encoded: AudioPassthrough | None) -> None:
    assert {m.status for m in RateScorer().score(item(AUDIO, None, encoded=encoded))} == {Status.NOT_APPLICABLE}


def test_text_tokens_are_those_of_the_named_tokenizer(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0, "cat": 1, "?": 2}, unk_token="?"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    words.save(str(tmp_path / "tokenizer.json"))
    scorer = make(codecbench_token_rate, "text_tokens", {"tokenizer": tmp_path / "tokenizer.json"})
    (measured,) = scorer.score(item(AUDIO, None, text="a cat sat", encoded=_tokens(_stream("c", 12, [8], 6.0))))
    assert (measured.numerator, measured.denominator) == (12, 3)
    assert "tokenizer.json" in json.loads(measured.detail)["tokenizer"]


def test_the_default_text_tokenizer_is_whispers() -> None:
    try:
        scorer = TextTokenScorer({})
    except Unavailable as error:
        pytest.skip(str(error))
    tokens = _tokens(_stream("codes", 12, [8], 6.0))
    (measured,) = scorer.score(item(AUDIO, None, text="Hello world", encoded=tokens))
    assert (measured.denominator, json.loads(measured.detail)["tokenizer"]) == (2, "whisper-multilingual-bpe")
    assert scorer.score(item(AUDIO, None, text="", encoded=tokens))[0].status is Status.NO_TEXT
    assert scorer.score(item(AUDIO, None, text="x", encoded=None))[0].status is Status.NOT_APPLICABLE


def test_a_tokenizer_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no such file"):
        TextTokenScorer({"tokenizer": tmp_path / "absent.json"})


@pytest.mark.parametrize("size", [2, 64, 1024])
def test_entropy_of_a_uniform_source_is_its_logarithm(size: int) -> None:
    assert entropy_bits(np.full(size, 50)) == pytest.approx(math.log2(size))


def test_entropy_of_one_symbol_and_of_nothing_is_zero() -> None:
    assert entropy_bits(np.array([0, 9, 0])) == 0.0
    assert entropy_bits(np.zeros(4, np.int64)) == 0.0


@pytest.mark.parametrize("shape", ["uniform", "zipf", "geometric"])
def test_the_correction_takes_out_the_bias_at_20_frames_an_entry(shape: str) -> None:
    size, rng = 256, np.random.default_rng(0)
    ranks = np.arange(1, size + 1)
    weights = {"uniform": np.ones(size), "zipf": 1 / ranks, "geometric": 0.98**ranks}[shape]
    share = weights / weights.sum()
    true = -np.sum(share * np.log2(share))
    draws = [rng.multinomial(20 * size, share) for _ in range(200)]
    plain = np.mean([plug_in_entropy_bits(d) for d in draws]) - true
    corrected = np.mean([entropy_bits(d) for d in draws]) - true
    assert plain < -0.02
    assert abs(corrected) < 0.01
    assert abs(corrected) < abs(plain) / 3


def _view(codes: np.ndarray, sizes: Sequence[int], *, name: str = "codec", frames_each: int = 100) -> CodecView:
    """Codes [K, F] cut into utterances of one second, with padding beyond each utterance's true frames."""
    utterances = []
    for index, start in enumerate(range(0, codes.shape[1], frames_each)):
        part = torch.from_numpy(codes[None, :, start : start + frames_each])
        padded = torch.nn.functional.pad(part, (0, 7))
        encoded = single_stream(
            padded,
            num_frames=torch.tensor([part.shape[2]]),
            num_samples=torch.tensor([RATE_HZ]),
            frame_rate_hz=float(frames_each),
            codebook_sizes=sizes,
        )
        utterances.append((Utterance(f"u{index}", Path("x.wav")), encoded))
    records = [record("token_rate", u.id, duration_s=1.0) for u, _ in utterances]
    spec = CodecSpec("codec", streams=(StreamSpec(float(frames_each), (16, 16, 16)),), truncatable=True)
    return CodecView(name, spec, records, (), lambda: iter(utterances))


def test_codebook_statistics_of_a_known_source() -> None:
    rng = np.random.default_rng(0)
    share = np.array([0.5, 0.25, 0.125, 0.125] + [0.0] * 12)
    codes = np.stack([rng.choice(16, 4000, p=share), rng.integers(0, 16, 4000)])
    found = _found(CodebookScorer().score(_view(codes, (16, 16))))
    assert found["codebook_utilisation", "codes/0"].value == 4 / 16
    assert found["codebook_entropy_bits", "codes/0"].value == pytest.approx(1.75, abs=0.03)
    assert found["codebook_perplexity", "codes/0"].value == pytest.approx(2**1.75, rel=0.03)
    assert found["codebook_entropy_bits", "codes/1"].value == pytest.approx(4.0, abs=0.01)
    assert found["entropy_bitrate_bps", ""].value == pytest.approx((1.75 + 4.0) * 100, rel=0.01)
    detail = json.loads(found["codebook_entropy_bits", "codes/0"].detail)
    assert (detail["frames"], detail["entries"], detail["entries_used"]) == (4000, 16, 4)


@pytest.mark.parametrize(("frames", "status"), [(320, Status.OK), (319, Status.TOO_FEW_FRAMES)])
def test_statistics_need_20_frames_for_each_entry(frames: int, status: Status) -> None:
    codes = np.arange(frames)[None] % 16
    found = _found(CodebookScorer().score(_view(codes, (16,))))
    for key in (("codebook_utilisation", "codes/0"), ("codebook_perplexity", "codes/0"), ("entropy_bitrate_bps", "")):
        assert found[key].status is status
        assert (found[key].value is None) is (status is not Status.OK)
    assert json.loads(found["codebook_entropy_bits", "codes/0"].detail)["frames"] == frames


@pytest.mark.parametrize(("name", "codebooks"), [("codec", 3), ("codec@2", 2), ("codec@1", 1)])
def test_the_nominal_rate_is_that_of_the_codebooks_in_use(name: str, codebooks: int) -> None:
    found = _found(CodebookScorer().score(_view(np.zeros((1, 10), np.int64), (16,), name=name)))
    assert found["nominal_bitrate_bps", ""].value == 100 * 4 * codebooks


def test_a_codec_without_tokens_has_no_codebook_statistics() -> None:
    coded = Bitstream((b"xy",), torch.tensor([8]))
    spec = CodecSpec("opus", bitrate_bps=12000.0)
    view = CodecView("opus", spec, (), (), lambda: iter([(Utterance("u", Path("x")), coded)]))
    found = _found(CodebookScorer().score(view))
    assert found["nominal_bitrate_bps", ""].value == 12000.0
    assert {m.status for (name, _), m in found.items() if name != "nominal_bitrate_bps"} == {Status.NOT_APPLICABLE}
    nothing = CodecView("identity", CodecSpec("identity"), (), (), lambda: iter(()))
    assert _found(CodebookScorer().score(nothing))["nominal_bitrate_bps", ""].status is Status.NOT_APPLICABLE
