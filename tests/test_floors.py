from threers.codebook import Codebook
from threers.corpus import grouped_folds
from threers.floors import FLOORS, floor_codings, floor_tags


def test_floors_respect_roles_and_tf_idf_learns_words(annomi_like):
    fold = grouped_folds(annomi_like, 4, 0)
    learn, test = annomi_like.select(fold.index[fold != 0]), annomi_like.select(fold.index[fold == 0])
    tags = floor_tags(learn, test)
    legal = annomi_like.codebook.legal_mask(test.utterances["role"])
    gold = test.codings[test.codings["coder_id"] == "A"].set_index(["session_id", "unit_id"])["code"]
    hits = {}
    for name in FLOORS:
        assert not tags[name][~legal].any()
        assert (tags[name].sum(axis=1) == 1).all()
        mine = floor_codings(test, tags[name], name).set_index(["session_id", "unit_id"])["code"]
        hits[name] = (mine.loc[gold.index].to_numpy() == gold.to_numpy()).mean()
    assert hits["floor:tf-idf"] > 0.6 > hits["floor:most-frequent"]


def test_a_child_of_a_floor_marks_its_parent():
    from pathlib import Path

    from threers.formats import import_files

    demo = Path(__file__).parents[1] / "data" / "demo"
    corpus = import_files(demo / "**" / "*.csv", demo / "reader.yaml")
    ids = list(corpus.sessions["session_id"])
    tags = floor_tags(corpus.select(ids[:20]), corpus.select(ids[20:24]))["floor:tf-idf"]
    book = Codebook.load("3rs-2015")
    place = {code: number for number, code in enumerate(book.tag_codes())}
    for code in place:
        for parent in book.ancestors(code):
            assert (tags[:, place[code]] <= tags[:, place[parent]]).all()
