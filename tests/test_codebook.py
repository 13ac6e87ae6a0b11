import copy

import pytest
import yaml

from threers.codebook import Codebook, require_fit
from threers.errors import InputError, SettingsError

GOOD = {
    "name": "small",
    "roles": ["patient", "therapist"],
    "families": {
        "withdrawal": {
            "kind": "multilabel",
            "unit": "utterance",
            "roles": ["patient"],
            "codes": {"W": {}, "W1": {"parent": "W"}},
        },
        "extent": {"kind": "rating", "unit": "session", "scale": [1, 5], "codes": {"resolved": {}}},
    },
}


@pytest.mark.parametrize("name", ["3rs-2015", "3rs-2022", "annomi", "wikitactics", "talkmoves"])
def test_shipped_codebooks_load_and_survive_a_round_trip(name, tmp_path):
    book = Codebook.load(name)
    book.save(tmp_path / "book.yaml")
    again = Codebook.load(tmp_path / "book.yaml")
    assert again == book
    assert again.hash == book.hash


def test_the_2015_edition_has_7_7_and_10_codes_with_definitions():
    book = Codebook.load("3rs-2015")
    for family, number, speaker in (
        ("withdrawal", 7, "patient"),
        ("confrontation", 7, "patient"),
        ("resolution", 10, "therapist"),
    ):
        children = [book.codes[code] for code in book.family(family).codes if book.codes[code].parent]
        assert len(children) == number
        assert all(code.roles == (speaker,) and len(code.definition) > 30 for code in children)
    assert book.family("session_ratings").scale == (1, 5)


FAULTS = {
    "unknown parent": (
        lambda r: r["families"]["withdrawal"]["codes"]["W1"].update(parent="X"),
        "parent 'X' is not a code",
    ),
    "cycle": (lambda r: r["families"]["withdrawal"]["codes"]["W"].update(parent="W1"), "cycle"),
    "code in two families": (
        lambda r: r["families"]["extent"]["codes"].update(W={}),
        "'W' stands in withdrawal and in extent",
    ),
    "speaker": (lambda r: r["families"]["withdrawal"].update(roles=["nurse"]), "speaker 'nurse' does not exist"),
    "no scale": (lambda r: r["families"]["extent"].pop("scale"), "needs a scale with two bounds"),
    "half a scale": (lambda r: r["families"]["extent"].update(scale=[1]), "needs a scale with two bounds"),
    "kind": (lambda r: r["families"]["extent"].update(kind="multi"), "kind 'multi'"),
    "unit": (lambda r: r["families"]["extent"].update(unit="minute"), "unit 'minute'"),
    "unknown key": (lambda r: r.update(colour=1), "unknown key 'colour'"),
    "missing key": (lambda r: r.pop("roles"), "'roles' is missing"),
    "reserved role": (lambda r: r.update(roles=["patient", "unknown"]), "exists in every corpus"),
    "own roles": (
        lambda r: r["families"]["withdrawal"].update(kind="exclusive", codes={"a": {"roles": ["therapist"]}, "b": {}}),
        "roles of its own",
    ),
    "ambiguous": (lambda r: r["families"]["extent"]["codes"].update(other={"aliases": ["w1"]}), "could mean"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named(fault):
    raw = copy.deepcopy(GOOD)
    change, words = FAULTS[fault]
    change(raw)
    with pytest.raises(SettingsError, match=words):
        Codebook.from_dict(raw, "lab.yaml")
    with pytest.raises(SettingsError, match=r"lab\.yaml"):
        Codebook.from_dict(raw, "lab.yaml")


def test_a_file_that_is_not_yaml_is_named(tmp_path):
    (tmp_path / "lab.yaml").write_text("name: [")
    with pytest.raises(SettingsError, match=r"lab\.yaml: not valid YAML"):
        Codebook.load(tmp_path / "lab.yaml")
    with pytest.raises(SettingsError, match="no such file"):
        Codebook.load(tmp_path / "none.yaml")
    with pytest.raises(SettingsError, match="shipped: 3rs-2015"):
        Codebook.load("3rs-1999")


def test_legality_follows_roles():
    book = Codebook.load("3rs-2015")
    mask = book.legal_mask(["patient", "therapist", "unknown"], ("W1", "R1"))
    assert mask.tolist() == [[True, False], [False, True], [False, False]]
    assert Codebook.load("wikitactics").legal_mask(["unknown"]).all()


def test_written_codes_are_found_by_title_and_alias():
    book = Codebook.load("wikitactics")
    assert book.find("dh5:counterargument") == "counterargument"
    assert book.find("DH1: Attacks to the person or argument") == "ad_hominem"
    assert book.find("nonsense") is None


def test_a_codebook_that_fits_no_coding_is_refused():
    book = Codebook.load("annomi")
    with pytest.raises(InputError, match=r"none of its codes \(W1, W2\) is in codebook annomi"):
        require_fit({"W1": 3, "W2": 1}, book, "codings.csv")
    require_fit({"question": 3, "W2": 1}, book, "codings.csv")


def test_the_hash_ignores_comments_but_not_the_order_of_codes():
    again = yaml.safe_load("# a comment\n" + yaml.safe_dump(GOOD, sort_keys=False))
    assert Codebook.from_dict(again).hash == Codebook.from_dict(GOOD).hash
    again["families"]["withdrawal"]["codes"] = {"W1": {"parent": "W"}, "W": {}}
    assert Codebook.from_dict(again).hash != Codebook.from_dict(GOOD).hash


def test_codes_may_be_called_by_numbers_beside_words():
    family = {"kind": "multilabel", "unit": "utterance", "codes": {1: {"title": "one"}, "W": {}}}
    book = Codebook.from_dict({**GOOD, "families": {"mixed": family}})
    assert book.find("1") == "1"
    words = {**family, "codes": {"1": {"title": "one"}, "W": {}}}
    assert Codebook.from_dict({**GOOD, "families": {"mixed": words}}).hash == book.hash


def test_a_code_that_stands_twice_in_a_file_is_refused(tmp_path):
    text = yaml.safe_dump(GOOD, sort_keys=False).replace("      W: {}", "      W: {}\n      W: {}")
    (tmp_path / "lab.yaml").write_text(text)
    with pytest.raises(SettingsError, match=r"lab\.yaml.*'W' stands twice"):
        Codebook.load(tmp_path / "lab.yaml")
