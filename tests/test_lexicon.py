import numpy as np
import pytest

from threers.codebook import Codebook
from threers.lexicon import Lexicon, _keys
from threers.targets import Targets

BOOK = Codebook.load("3rs-2015")
PLACE = {code: number for number, code in enumerate(BOOK.tag_codes())}


def words(*rows):
    return [np.array(row, dtype=np.int32) for row in rows]


def withdrawal_targets(marks, n):
    """Targets and weights in which `marks` (code -> utterances) are present and every patient code was coded."""
    share = np.zeros((n, len(PLACE)), dtype=np.float32)
    weight = np.zeros_like(share)
    weight[:, [PLACE[code] for code in BOOK.family("withdrawal").codes]] = 1
    for code, rows in marks.items():
        share[rows, PLACE[code]] = 1
    given = np.ones_like(share)
    for code, column in PLACE.items():
        if BOOK.codes[code].parent:
            given[:, column] = share[:, PLACE[BOOK.codes[code].parent]]
    return Targets(share, weight, given), weight


def test_words_that_mean_a_code_are_learnt_and_a_child_only_within_its_parent():
    rng = np.random.default_rng(0)
    tokens, marks = [], {"W": [], "W2": []}
    for row in range(300):
        own = list(rng.integers(10, 40, 5))
        if row % 3 == 0:
            own.append(1)
            marks["W"].append(row)
        if row % 6 == 0:
            own.append(2)
            marks["W2"].append(row)
        tokens.append(np.array(own, dtype=np.int32))
    targets, weight = withdrawal_targets(marks, 300)
    lexicon = Lexicon.fit(tokens, np.arange(300) % 4, targets, weight, BOOK)
    logits = lexicon.logits(words([20, 21, 1], [20, 21, 1, 2], [20, 21]))
    assert logits[0, PLACE["W"]] > 0 > logits[2, PLACE["W"]]
    assert logits[1, PLACE["W2"]] > 0 > logits[0, PLACE["W2"]]
    assert np.isfinite(logits).all()


def test_a_word_that_one_group_alone_uses_is_not_kept():
    tokens = words([5, 6, 99], [5, 6, 99], [5, 6], [5, 6])
    targets, weight = withdrawal_targets({"W": [0, 2]}, 4)
    lexicon = Lexicon.fit(tokens, np.array([0, 0, 1, 1]), targets, weight, BOOK)
    assert 99 not in lexicon.features
    assert set(lexicon.features) == set(_keys(np.array([5, 6])))


def test_word_order_counts():
    assert len(set(_keys(np.array([5, 6]))) ^ set(_keys(np.array([6, 5])))) == 2


def test_unknown_words_and_empty_texts_leave_the_intercept():
    targets, weight = withdrawal_targets({"W": [0, 2]}, 4)
    lexicon = Lexicon.fit(words([5, 6], [7], [5, 6], [7]), np.array([0, 0, 1, 1]), targets, weight, BOOK)
    logits = lexicon.logits(words([1000], []))
    assert np.allclose(logits, lexicon.intercept)


def test_an_exclusive_family_is_learnt_though_one_code_is_never_used():
    book = Codebook.load("annomi")
    share = np.zeros((40, 7), dtype=np.float32)
    weight = np.zeros_like(share)
    weight[:, 4:] = 1
    share[::2, 4] = share[1::2, 5] = 1
    tokens = words(*([1, 3] if row % 2 == 0 else [2, 3] for row in range(40)))
    targets = Targets(share, weight, np.ones_like(share))
    logits = Lexicon.fit(tokens, np.arange(40) // 10, targets, weight, book).logits(words([1], [2]))
    assert logits[:, 4:].argmax(axis=1).tolist() == [0, 1]
    difference = logits[0, 4] - logits[0, 5]
    assert difference == pytest.approx(-(logits[1, 4] - logits[1, 5]), rel=0.2)


def test_it_survives_a_round_trip(tmp_path):
    targets, weight = withdrawal_targets({"W": [0, 2]}, 4)
    lexicon = Lexicon.fit(words([5, 6], [7], [5, 6], [7]), np.array([0, 0, 1, 1]), targets, weight, BOOK)
    lexicon.save(tmp_path / "lexicon.safetensors")
    again = Lexicon.load(tmp_path / "lexicon.safetensors")
    for name, array in vars(lexicon).items():
        assert np.array_equal(array, getattr(again, name)), name


def test_with_one_group_only_the_frequencies_are_left():
    targets, weight = withdrawal_targets({"W": [0]}, 4)
    lexicon = Lexicon.fit(words([5, 6], [7], [5, 6], [7]), np.zeros(4, dtype=int), targets, weight, BOOK)
    assert len(lexicon.features) == 0
    assert lexicon.logits(words([5]))[0, PLACE["W"]] == pytest.approx(np.log((1 + 1) / (3 + 1)))
