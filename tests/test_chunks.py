from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from threers.chunks import Chunker, SessionTokens

lengths = st.lists(st.one_of(st.integers(1, 40), st.integers(1, 400)), min_size=1, max_size=60)


MARKER = np.array([-8, -9], dtype=np.int32)


def session_of(sizes):
    """Every token a number of its own, so that a lost or doubled one shows."""
    ends = np.cumsum([0, *sizes])
    tokens = [np.arange(a, b, dtype=np.int32) for a, b in pairwise(ends)]
    return SessionTokens("s", tokens, [MARKER] * len(tokens))


def chunker(chunk_tokens=48, overlap_tokens=12, lookahead=True):
    return Chunker(
        chunk_tokens=chunk_tokens, overlap_tokens=overlap_tokens, lookahead=lookahead, before=(-1,), after=(-2,)
    )


def counted(chunks):
    """(utterance, token) of every token that counts."""
    return [
        (utterance, int(token))
        for chunk in chunks
        for (utterance, start, end), counts in zip(chunk.pieces.tolist(), chunk.counts, strict=True)
        if counts
        for token in chunk.tokens[start:end]
        if token >= 0
    ]


@settings(max_examples=200, deadline=None)
@given(lengths, st.integers(0, 24), st.booleans())
def test_scoring_counts_every_token_exactly_once(sizes, overlap, lookahead):
    session = session_of(sizes)
    chunks = chunker(48, overlap, lookahead).for_scoring(session)
    expected = [(number, int(token)) for number, tokens in enumerate(session.utterances) for token in tokens]
    assert sorted(counted(chunks)) == expected


@settings(max_examples=200, deadline=None)
@given(lengths, st.integers(0, 2**32 - 1))
def test_training_reads_every_token_exactly_once(sizes, seed):
    session = session_of(sizes)
    chunks = chunker().for_training(session, 0, np.random.default_rng(seed))
    assert sorted(token for _, token in counted(chunks)) == list(range(sum(sizes)))


@settings(max_examples=200, deadline=None)
@given(lengths, st.integers(0, 24))
def test_no_chunk_is_longer_than_allowed_and_each_is_framed(sizes, overlap):
    session = session_of(sizes)
    for chunk in [
        *chunker(48, overlap).for_scoring(session),
        *chunker(48, overlap).for_training(session, 0, np.random.default_rng(0)),
    ]:
        assert len(chunk.tokens) <= 48
        assert chunk.tokens[0] == -1
        assert chunk.tokens[-1] == -2
        assert (np.diff(chunk.pieces[:, 1:].ravel()) >= 0).all()


@pytest.mark.parametrize("count", [1, 5000])
@pytest.mark.parametrize("words", [1, 5000])
def test_extreme_lengths_lose_nothing(words, count):
    sizes = [words] + [3] * (count - 1)
    chunks = chunker(256, 64).for_scoring(session_of(sizes))
    assert sorted(token for _, token in counted(chunks)) == list(range(sum(sizes)))


def test_each_utterance_counts_where_its_context_is_widest():
    chunks = chunker(48, 20).for_scoring(session_of([4] * 40))
    for number, chunk in enumerate(chunks):
        for place, (_, start, end) in enumerate(chunk.pieces.tolist()):
            if chunk.counts[place] and 0 < number < len(chunks) - 1:
                # pieces have 6 tokens and 3 of them overlap, so in one of two chunks one stands on the poorer side
                assert min(start - 1, len(chunk.tokens) - 1 - end) >= 6


@settings(max_examples=100, deadline=None)
@given(lengths, st.integers(0, 24))
def test_read_twice_judges_the_second_of_two_equal_copies(sizes, overlap):
    session = session_of(sizes)
    cut = replace(chunker(48, overlap), read_twice=True)
    for chunk in [*cut.for_scoring(session), *cut.for_training(session, 0, np.random.default_rng(1))]:
        assert len(chunk.tokens) <= 48
        first, second = np.split(chunk.tokens[1:-1], 2)
        assert np.array_equal(first, second)
        assert (chunk.pieces[0, 1], chunk.pieces[-1, 2]) == (1 + len(first), len(chunk.tokens) - 1)
    wanted = [(u, int(token)) for u, own in enumerate(session.utterances) for token in own]
    assert sorted(counted(cut.for_scoring(session))) == wanted
    for chunk in cut.alone(session):
        assert chunk.pieces[0, 1:].tolist() == [len(chunk.tokens) // 2, len(chunk.tokens)]


def test_without_lookahead_the_widest_past_wins():
    session = session_of([4] * 40)
    for chunk in chunker(48, 20, lookahead=False).for_scoring(session)[1:]:
        counting = chunk.pieces[chunk.counts]
        assert counting[0, 1] - 1 >= 18


def test_borders_move_from_epoch_to_epoch():
    session = session_of([5] * 60)
    borders = {
        tuple(int(c.tokens[3]) for c in chunker().for_training(session, 0, np.random.default_rng(epoch)))
        for epoch in range(12)
    }
    assert len(borders) >= 3


def test_every_piece_begins_with_its_role_marker():
    for chunk in chunker().for_scoring(session_of([3, 500, 7])):
        for _, start, _ in chunk.pieces:
            assert chunk.tokens[start : start + 2].tolist() == [-8, -9]
