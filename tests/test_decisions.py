import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from threers.codebook import Codebook
from threers.decisions import Decisions, before_temperature, probabilities, tag
from threers.errors import InputError
from threers.targets import Targets
from threers.thresholds import _f1, fit_decisions, macro_f1

BOOKS = {name: Codebook.load(name) for name in ("3rs-2015", "annomi", "wikitactics", "talkmoves")}


@st.composite
def scored(draw):
    """A codebook, logits however wild, roles, and decisions however odd."""
    book = BOOKS[draw(st.sampled_from(sorted(BOOKS)))]
    n, codes = draw(st.integers(1, 12)), book.tag_codes()
    logits = draw(arrays(np.float32, (n, len(codes)), elements=st.floats(-60, 60, width=32)))
    roles = draw(st.lists(st.sampled_from([*book.roles, "other", "unknown"]), min_size=n, max_size=n))
    thresholds = draw(arrays(np.float64, len(codes), elements=st.floats(-5, 5)))
    temperatures = draw(st.lists(st.floats(0.25, 8), min_size=len(book.families), max_size=len(book.families)))
    decisions = Decisions(
        {family.name: t for family, t in zip(book.families, temperatures, strict=True)},
        dict(zip(codes, thresholds.tolist(), strict=True)),
    )
    return book, logits, roles, decisions


@settings(max_examples=300, deadline=None)
@given(scored())
def test_no_role_ever_has_a_code_it_may_not_have(case):
    book, logits, roles, decisions = case
    legal = book.legal_mask(roles)
    p = probabilities(logits, legal, book, decisions)
    assert np.isnan(p[~legal]).all()
    assert not tag(p, book, decisions)[~legal].any()


@settings(max_examples=300, deadline=None)
@given(scored())
def test_a_child_never_exceeds_its_parent(case):
    book, logits, roles, decisions = case
    legal = book.legal_mask(roles)
    p = probabilities(logits, legal, book, decisions)
    tags = tag(p, book, decisions)
    place = {code: number for number, code in enumerate(book.tag_codes())}
    for code, column in place.items():
        for parent in book.ancestors(code):
            rows = legal[:, column]
            assert (p[rows, column] <= p[rows, place[parent]]).all()
            assert (tags[:, column] <= tags[:, place[parent]]).all()


@settings(max_examples=200, deadline=None)
@given(scored())
def test_an_exclusive_family_gives_each_legal_utterance_exactly_one_code(case):
    book, logits, roles, decisions = case
    legal = book.legal_mask(roles)
    tags = tag(probabilities(logits, legal, book, decisions), book, decisions)
    start = 0
    for family in book.tag_families():
        own = slice(start, start := start + len(family.codes))
        if family.kind == "exclusive":
            assert (tags[:, own].sum(axis=1) == legal[:, own].any(axis=1)).all()


def everybody(share):
    """One coder spoke of every code of every utterance."""
    return Targets(share, np.ones_like(share), np.ones_like(share))


def test_temperature_recovers_the_scale_of_the_logits():
    book = BOOKS["annomi"]
    rng = np.random.default_rng(0)
    true = rng.normal(size=(4000, 7)).astype(np.float32) * 2
    share = np.zeros_like(true)
    for columns in (slice(0, 4), slice(4, 7)):
        p = np.exp(true[:, columns]) / np.exp(true[:, columns]).sum(axis=1, keepdims=True)
        chosen = (p.cumsum(axis=1) > rng.random((len(p), 1))).argmax(axis=1)
        share[np.arange(len(p)), columns.start + chosen] = 1
    legal = np.ones(true.shape, dtype=bool)
    decisions = fit_decisions(true * 3, everybody(share), legal, book, np.full(7, 0.3))
    assert decisions.temperature["therapist_behaviour"] == pytest.approx(3, rel=0.1)
    assert decisions.temperature["client_talk"] == pytest.approx(3, rel=0.1)


def calibrated_codes(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits of 18 codes whose sigmoid is the true probability, from frequent to rare, and marks drawn from it."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(np.linspace(-1, -4, 18), 1.5, size=(n, 18)).astype(np.float32)
    return logits, (rng.random(logits.shape) < 1 / (1 + np.exp(-logits))).astype(np.float32)


def test_thresholds_of_calibrated_codes_are_nearly_the_best_there_are():
    book = BOOKS["wikitactics"]
    logits, share = calibrated_codes(400, 1)
    legal = np.ones(logits.shape, dtype=bool)
    decisions = fit_decisions(logits, everybody(share), legal, book, np.full(18, 0.1))
    fresh, truth = calibrated_codes(20000, 2)
    p = probabilities(fresh, np.ones(fresh.shape, dtype=bool), book, decisions)
    found = macro_f1(tag(p, book, decisions), everybody(truth), book)
    for family in book.tag_families():
        own = [book.tag_codes().index(code) for code in family.codes]
        best = [max(_f1(p[:, c] >= limit, truth[:, c] > 0) for limit in np.linspace(0.02, 0.9, 45)) for c in own]
        assert found[family.name] > np.mean(best) - 0.02


def test_one_odd_mark_of_a_rare_code_does_not_move_its_threshold():
    book = BOOKS["wikitactics"]
    logits, share = calibrated_codes(400, 3)
    legal = np.ones(logits.shape, dtype=bool)
    place = book.tag_codes().index(book.tag_families()[0].codes[-1])
    share[:, place] = 0
    without = fit_decisions(logits, everybody(share), legal, book, np.full(18, 0.1)).threshold
    share[np.argmin(logits[:, place]), place] = 1  # where the tagger is surest that there is none
    one = fit_decisions(logits, everybody(share), legal, book, np.full(18, 0.1)).threshold
    code = book.tag_codes()[place]
    assert one[code] == pytest.approx(without[code], rel=0.2)


def test_rare_codes_of_an_exclusive_family_are_helped_by_their_frequency_in_training():
    book = BOOKS["annomi"]
    rng = np.random.default_rng(4)
    share = np.zeros((60, 7), dtype=np.float32)
    share[np.arange(60), rng.integers(0, 4, 60)] = 1
    frequency = np.array([0.6, 0.2, 0.15, 0.05, 0.5, 0.4, 0.1])
    legal = np.ones(share.shape, dtype=bool)
    threshold = fit_decisions(rng.normal(size=share.shape), everybody(share), legal, book, frequency).threshold
    own = np.array([threshold[code] for code in book.tag_families()[0].codes])
    power = -own / np.log(frequency[:4])
    assert np.allclose(power, power[0])
    assert 0.3 < power[0] < 0.7


def test_macro_f1_leaves_out_what_nobody_marked():
    book = BOOKS["annomi"]
    share = np.zeros((4, 7))
    share[:2, 0] = share[2:, 1] = 1
    coders = np.zeros((4, 7))
    coders[:, :4] = 1
    assert macro_f1(share.astype(bool), Targets(share, coders, np.ones_like(share)), book) == {
        "therapist_behaviour": 1.0
    }


def test_decisions_that_do_not_fit_the_codebook_are_refused():
    with pytest.raises(InputError, match=r"decisions.json.*annomi"):
        Decisions.from_dict({"temperature": {}, "threshold": {}}, BOOKS["annomi"], "decisions.json")


def test_a_code_that_nobody_spoke_of_has_no_probability_and_no_tag():
    book = BOOKS["3rs-2015"]
    neutral = Decisions.neutral(book)
    decisions = Decisions(neutral.temperature, neutral.threshold, ("W3", "R1"))
    logits = np.full((2, len(book.tag_codes())), 9.0, dtype=np.float32)
    p = probabilities(logits, book.legal_mask(["patient", "therapist"]), book, decisions)
    tags = tag(p, book, decisions)
    for code, column in zip(book.tag_codes(), range(p.shape[1]), strict=True):
        if code in ("W3", "R1"):
            assert np.isnan(p[:, column]).all()
            assert not tags[:, column].any()
        else:
            assert tags[:, column].sum() == 1
    assert Decisions.from_dict(decisions.to_dict(), book, "x") == decisions


@pytest.mark.parametrize("name", sorted(BOOKS))
@pytest.mark.parametrize("learnt", ["all", "all but one"])
def test_temperature_can_be_taken_back(name, learnt):
    book, rng = BOOKS[name], np.random.default_rng(0)
    logits = rng.normal(scale=2, size=(50, len(book.tag_codes()))).astype(np.float32)
    legal = book.legal_mask(rng.choice(list(book.roles), 50))
    childless = [code for code in book.tag_codes() if code not in {c.parent for c in book.codes.values()}]
    lost = () if learnt == "all" else (childless[-1],)
    neutral = Decisions.neutral(book)
    plain = Decisions(neutral.temperature, neutral.threshold, lost)
    heated = Decisions(dict.fromkeys(neutral.temperature, 1.7), neutral.threshold, lost)
    found = before_temperature(probabilities(logits, legal, book, heated), book, heated)
    np.testing.assert_allclose(found, probabilities(logits, legal, book, plain), atol=2e-5)
