"""The quantizer: search, both update rules, starts and restarts, dropout, usage."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from codecbench_lmspt import load_preset
from codecbench_lmspt.codebook import Codebook, StepContext, kmeans
from codecbench_lmspt.quantizer import SplitQuantizer
from codecbench_lmspt.spec import QuantizerSpec
from codecbench_lmspt.training import draw_kept_books

EMA = QuantizerSpec(16, 8, 3, 4, "per-stream", "euclidean", "ema", False, ema_decay=0.8, dead_code_share=0.0)
GRADIENT = replace(EMA, projection="per-book", search="cosine", update="gradient", semantic_subtraction=True)


def vectors(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def context(rows: int, frames: int, step: int = 0) -> StepContext:
    return StepContext(step, 7, torch.arange(rows), torch.ones(rows, frames, dtype=torch.bool))


@pytest.mark.parametrize("search", ["cosine", "euclidean"])
def test_search_is_the_brute_force_minimum(search: str) -> None:
    book = Codebook(replace(EMA, search=search), 16, "book").double()  # type: ignore[arg-type]
    z, table = vectors(3, 20, 4), book.weight.detach()
    if search == "cosine":
        expected = torch.nn.functional.cosine_similarity(z[:, :, None], table[None, None], dim=-1).argmax(-1)
    else:
        expected = torch.cdist(z, table[None]).argmin(-1)
    assert torch.equal(book.nearest(z), expected)


def test_moving_averages_equal_vector_quantize_pytorch() -> None:
    """Independent implementation: lucidrains' VectorQuantize, same entries, same data, three steps."""
    from vector_quantize_pytorch import VectorQuantize

    other = VectorQuantize(
        dim=4, codebook_size=16, decay=0.8, eps=1e-12, threshold_ema_dead_code=0, use_cosine_sim=False
    ).double()
    book = Codebook(EMA, 16, "book").double()
    assert book.ema is not None
    table = vectors(16, 4, seed=5)
    with torch.no_grad():
        book.weight.copy_(table)
        other._codebook.embed.copy_(table[None])
        other._codebook.embed_avg.copy_(table[None])
        other._codebook.cluster_size.fill_(1.0)
    book.ema.adopt(book.weight)
    other.train()
    for step in range(3):
        z = vectors(2, 200, 4, seed=step)
        codes = book.nearest(z)
        _, theirs, _ = other(z)
        assert torch.equal(codes, theirs)
        book.observe(z, codes, context(2, 200))
        book.move(step, 7)
        torch.testing.assert_close(book.weight.detach(), other._codebook.embed[0], rtol=1e-6, atol=1e-6)


def test_two_micro_batches_move_a_codebook_like_one_batch() -> None:
    one, two = (Codebook(EMA, 16, "book").double() for _ in range(2))
    two.load_state_dict(one.state_dict())
    z = vectors(4, 50, 4)
    for book in (one, two):
        assert book.ema is not None
        book.ema.adopt(book.weight)
    one.observe(z, one.nearest(z), context(4, 50))
    for part in z.split(2):
        two.observe(part, two.nearest(part), context(2, 50))
    one.move(0, 7)
    two.move(0, 7)
    torch.testing.assert_close(one.weight, two.weight, rtol=1e-12, atol=1e-12)


def test_kmeans_finds_separated_clusters() -> None:
    centres = 100 * vectors(6, 4)
    points = (centres[:, None] + 0.01 * vectors(6, 50, 4, seed=1)).flatten(0, 1)
    found = kmeans(points, 24, 20, torch.Generator().manual_seed(0))
    assert torch.cdist(centres, found).amin(1).max() < 0.1


def test_first_batch_starts_a_codebook_near_its_data_even_if_it_is_small() -> None:
    for frames in (1, 3, 500):
        book = Codebook(EMA, 16, "book").double()
        z = 5 + 0.1 * vectors(1, frames, 4)
        book.start(z, context(1, frames))
        assert book.ema is not None
        assert book.ema.is_started()
        assert (book.weight - 5).abs().max() < 1


def test_entries_beyond_the_first_centres_come_alive_with_the_next_batches() -> None:
    book = Codebook(replace(EMA, dead_code_share=0.1), 16, "book").double()
    for step in range(3):
        z = vectors(1, 60, 4, seed=step)
        book.start(z, context(1, 60, step))
        book.observe(z, book.nearest(z), context(1, 60, step))
        book.move(step, 7)
    assert len(book.nearest(vectors(1, 400, 4, seed=9)).unique()) == 16


def test_equal_vectors_never_make_equal_entries() -> None:
    """Digital silence: a choice between equal entries would hang on rounding, which the number of ranks changes."""
    book = Codebook(replace(EMA, dead_code_share=0.1), 16, "book").double()
    z = vectors(1, 40, 4)
    z[:, 10:] = z[:, 10:11]
    for step in range(4):
        book.start(z, context(1, 40, step))
        book.observe(z, book.nearest(z), context(1, 40, step))
        book.move(step, 7)
        assert len(torch.unique(book.weight.detach(), dim=0)) == 16, step


def test_dead_entries_are_replaced_by_vectors_of_the_batch() -> None:
    book = Codebook(replace(EMA, dead_code_share=0.1), 16, "book").double()
    assert book.ema is not None
    book.ema.adopt(book.weight)
    with torch.no_grad():
        book.weight[8:] += 1000
    book.ema.adopt(book.weight)
    z = vectors(4, 100, 4)
    for step in range(20):
        book.observe(z, book.nearest(z), context(4, 100))
        book.move(step, 7)
    assert book.weight.abs().max() < 10
    assert len(book.nearest(z).unique()) == 16


@pytest.mark.parametrize("spec", [EMA, GRADIENT])
def test_padding_is_never_seen(spec: QuantizerSpec) -> None:
    quantizer = SplitQuantizer(spec, 6).double()
    z = vectors(2, 6, 10)
    changed = z.clone()
    changed[1, :, 4:] = 1e6
    valid = torch.tensor([[True] * 10, [True] * 4 + [False] * 6])
    where, kept = StepContext(0, 7, torch.arange(2), valid), torch.tensor([3, 2])
    state = {key: value.clone() for key, value in quantizer.state_dict().items()}
    first = quantizer(z, z, kept, where)
    quantizer.update(0, 7)
    after = {key: value.clone() for key, value in quantizer.state_dict().items()}
    other = SplitQuantizer(spec, 6).double()
    other.load_state_dict(state)
    second = other(changed, changed, kept, where)
    other.update(0, 7)
    assert torch.equal(first.acoustic.commitment, second.acoustic.commitment)
    assert torch.equal(first.usage[1], second.usage[1])
    assert all(torch.equal(after[key], value) for key, value in other.state_dict().items())


@pytest.mark.parametrize("spec", [EMA, GRADIENT])
def test_gradient_passes_straight_through_and_losses_go_where_they_must(spec: QuantizerSpec) -> None:
    quantizer = SplitQuantizer(spec, 6).double()
    z = vectors(2, 6, 10).requires_grad_()
    out = quantizer(z, z.detach(), torch.tensor([3, 3]), context(2, 10))
    out.semantic.latent.sum().backward(retain_graph=True)
    assert z.grad is not None
    assert z.grad.abs().sum() > 0
    table = quantizer.rvq_rest.books[0].codebook.weight
    if spec.update == "ema":
        assert not table.requires_grad
        return
    out.acoustic.codebook.sum().backward(retain_graph=True)
    assert table.grad is not None
    assert table.grad.abs().sum() > 0
    table.grad = None
    out.acoustic.commitment.sum().backward()
    assert table.grad is None or not table.grad.any()


def test_straight_through_gradient_is_that_of_the_projections_alone() -> None:
    quantizer = SplitQuantizer(GRADIENT, 6).double()
    book = quantizer.rvq_first.books[0]
    z = vectors(1, 6, 5).requires_grad_()
    weight = vectors(1, 5, 6, seed=2)
    out = quantizer(z, z.detach(), torch.tensor([3]), context(1, 5))
    (found,) = torch.autograd.grad((out.semantic.latent * weight).sum(), z)
    (expected,) = torch.autograd.grad((book.out_proj(book.in_proj(z.transpose(1, 2))) * weight).sum(), z)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("spec", [EMA, GRADIENT])
def test_training_latents_are_what_the_codes_decode_to(spec: QuantizerSpec) -> None:
    quantizer = SplitQuantizer(spec, 6).double()
    semantic, acoustic, kept = vectors(2, 6, 10), vectors(2, 6, 10, seed=1), torch.tensor([2, 0])
    out = quantizer(semantic, acoustic, kept, context(2, 10))
    codes = torch.cat([out.semantic.codes, out.acoustic.codes], dim=1)
    assert torch.equal(codes, quantizer.encode(semantic, acoustic, 4))
    total = (out.semantic.latent + out.acoustic.latent).transpose(1, 2)
    torch.testing.assert_close(total[:1], quantizer.decode(codes[:1, :3]))
    torch.testing.assert_close(total[1:], quantizer.decode(codes[1:, :1]))


def test_usage_counts_kept_books_and_sums_to_frames() -> None:
    quantizer = SplitQuantizer(EMA, 6).double()
    z = vectors(2, 6, 10)
    out = quantizer(z, z, torch.tensor([3, 1]), context(2, 10))
    assert [int(counts.sum()) for counts in out.usage] == [20, 20, 10, 10]
    quantizer.update(0, 7)
    torch.testing.assert_close(quantizer.semantic_vocab_usage.sum() * 100, torch.tensor(1.0, dtype=torch.float64))


def test_dropout_draws_belong_to_the_sample_not_to_the_batch() -> None:
    spec = load_preset("tiny", {"training.semantic_only_share": 0.2})
    together = draw_kept_books(spec, 5, 3, torch.arange(4000))
    halves = [draw_kept_books(spec, 5, 3, torch.arange(4000)[part::2]) for part in (0, 1)]
    assert torch.equal(together[0::2], halves[0])
    assert torch.equal(together[1::2], halves[1])
    assert not torch.equal(together, draw_kept_books(spec, 6, 3, torch.arange(4000)))
    share = torch.bincount(together, minlength=4) / 4000
    # Half keep all 3; of the other half, 0.2 keep none and the rest keep 1, 2 or 3 alike.
    torch.testing.assert_close(share, torch.tensor([0.1, 0.4 / 3, 0.4 / 3, 0.5 + 0.4 / 3]), atol=0.03, rtol=0)
