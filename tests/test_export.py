"""What is exported and imported again is the same corpus, for every format that is written."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.annotations import EXAMPLES
from tests.conftest import make_corpus
from tests.lab_tables import ROLES
from threers import runs
from threers.codebook import Codebook
from threers.corpus import Corpus, conform
from threers.errors import InputError, OutputExistsError, SettingsError
from threers.export import held_by, to_documents, write_documents
from threers.formats import import_files
from threers.formats.documents import Document
from threers.formats.known import writer, writers
from threers.jobs import ExportRun
from threers.scores import score_table, write_json, write_parquet

#: Of its own: something to code on segments, beside ratings of the session.
SEGMENTS = {
    "salience": {"kind": "rating", "unit": "segment", "scale": [1, 5], "codes": {"WD": {"title": "Marker salience"}}},
    "forms": {"kind": "multilabel", "unit": "segment", "codes": {"avoiding": {}, "masking": {}}},
}
BOOK = Codebook.load("3rs-2015")
BOOK = Codebook.from_dict({**BOOK.raw, "families": BOOK.raw["families"] | SEGMENTS})
PATIENT, THERAPIST = ("W", "W1", "C2", "C3"), ("R", "R1", "R4")
WORDS = st.sampled_from(["well", "=no", "-", "P: no", "@home", "fine", "שלום", "🙂", "<b>", "a|b", "it's", "W2", "ünï"])
TEXTS = st.lists(WORDS, min_size=1, max_size=5).map(" ".join)


@st.composite
def corpora(draw):
    utterances, codings = [], []
    for session in draw(st.sampled_from([("s1",), ("s1", "s 2")])):
        number = draw(st.integers(2, 6))
        for at in range(number):
            role = ("therapist", "patient")[(at + draw(st.integers(0, 1))) % 2]
            utterances.append((session, at, role, role[0].upper(), at * 4 + 0.5, at * 4 + 3.25, draw(TEXTS)))
            for coder in ("anna", "model:ours"):
                codes = draw(st.sets(st.sampled_from(PATIENT if role == "patient" else THERAPIST), max_size=2))
                codings += [(session, "utterance", at, coder, code, 1.0) for code in sorted(codes)]
        for segment, coder in draw(st.sets(st.tuples(st.integers(0, 2), st.sampled_from(["anna", "ben"])), max_size=3)):
            codings.append((session, "segment", segment, coder, "WD", draw(st.sampled_from([1.0, 2.123456789, 5.0]))))
            codings += [(session, "segment", segment, coder, "avoiding", 1.0)] * draw(st.integers(0, 1))
        for coder in draw(st.sets(st.sampled_from(["anna", "ben"]))):
            codings.append((session, "session", 0, coder, "resolution_extent", draw(st.sampled_from([1.0, 4.5]))))
    names = ["session_id", "utterance_id", "role", "speaker", "start", "end", "text"]
    sessions = pd.DataFrame({"session_id": list(dict.fromkeys(row[0] for row in utterances))})
    sessions = sessions.assign(group_id=sessions["session_id"], source_file="x", source_sha256="x")
    marks = pd.DataFrame(codings, columns=["session_id", "unit", "unit_id", "coder_id", "code", "value"])
    corpus = Corpus(
        utterances=conform(pd.DataFrame(utterances, columns=names), "utterances"),
        sessions=conform(sessions, "sessions"),
        codings=conform(marks, "codings"),
        codebook=BOOK,
    )
    corpus.check()
    return corpus


def spoken(corpus):
    table = corpus.utterances.sort_values(["session_id", "utterance_id"], ignore_index=True)
    return table.assign(start=table["start"].round(3), end=table["end"].round(3))


def marked(corpus):
    return sorted(corpus.codings.dropna(subset="code").itertuples(index=False, name=None))


@pytest.mark.parametrize("name", ["csv", "xlsx", "docx", "refi", "elan", "textgrid", "webvtt", "label_studio"])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(corpus=corpora(), minutes=st.sampled_from([5.0, 0.1]))
def test_export_and_import_give_the_same_corpus(name, corpus, minutes, tmp_path_factory):
    form = writer(name, tmp_path_factory.getbasetemp())
    to = tmp_path_factory.mktemp("out") / "out"
    codings = held_by(form, corpus.codings)
    documents = list(to_documents(corpus, codings, minutes))
    files = write_documents(documents, form, to, corpus)
    source = files[0] if form.together else to
    again = import_files(source, "long" if name in ("csv", "xlsx") else "auto", BOOK, ROLES, every_role=True)
    pd.testing.assert_frame_equal(spoken(again), spoken(corpus))
    assert marked(again) == marked(replace(corpus, codings=codings))


@pytest.mark.parametrize("name", ["refi", "label_studio"])
def test_codings_that_a_format_cannot_hold_are_counted(name, tmp_path, caplog):
    corpus = make_corpus(1)
    book = Codebook.from_dict({**corpus.codebook.raw, "families": corpus.codebook.raw["families"] | SEGMENTS})
    session = corpus.sessions["session_id"].iloc[0]
    more = [(session, "segment", number, "anna", "WD", 3.0) for number in range(4)]
    codings = pd.concat([corpus.codings, pd.DataFrame(more, columns=corpus.codings.columns)], ignore_index=True)
    folder = replace(corpus, codings=codings, codebook=book).save(tmp_path / "corpus")
    to = str(tmp_path / "out")
    _, written = runs.export(ExportRun(corpus=str(folder), to=to, format=name))
    assert "4 codings of segments are left out" in caplog.text
    assert written == corpus.codings["code"].notna().sum()


def test_a_corrected_table_brings_segments_and_ratings_home(tmp_path):
    corpus = make_corpus(1)
    session = corpus.sessions["session_id"].iloc[0]
    book = Codebook.from_dict({**corpus.codebook.raw, "families": corpus.codebook.raw["families"] | SEGMENTS})
    codings = [(session, "segment", 7, "anna", "WD", 1.0), (session, "segment", 8, "anna", "avoiding", 1.0)]
    codings = conform(pd.DataFrame(codings, columns=corpus.codings.columns), "codings")
    corpus = replace(corpus, codings=codings, codebook=book)
    run = ExportRun(corpus=str(corpus.save(tmp_path / "c")), to=str(tmp_path / "x.csv"), segment_minutes=1)
    again = import_files(runs.export(run)[0][0], "exported", book, {"T": "therapist", "C": "client"})
    assert marked(again) == marked(corpus)
    rows = pd.read_csv(tmp_path / "x.csv").query("unit == 'segment'")
    assert rows[["segment", "start", "end"]].to_numpy().tolist() == [[7, 420, 480], [8, 480, 540]]


def test_every_writer_is_tested_above():
    assert set(writers()) == {"csv", "xlsx", "docx", "refi", "elan", "textgrid", "webvtt", "label_studio"}


@pytest.fixture
def scored(tmp_path):
    """A corpus folder, and scores of half of its sessions that tag every third patient's line."""
    corpus = make_corpus(4)
    folder = corpus.save(tmp_path / "corpus")
    rows = corpus.utterances[corpus.utterances["session_id"].isin(corpus.sessions["session_id"][:2])]
    codes = corpus.codebook.tag_codes()
    tags = np.zeros((len(rows), len(codes)), dtype=bool)
    legal = corpus.codebook.legal_mask(rows["role"])
    tags[np.arange(len(rows)), legal.argmax(axis=1)] = legal.any(axis=1)
    scores = tmp_path / "scores"
    table = score_table(rows, tags.astype(np.float32), tags, corpus.codebook)
    write_parquet(table, scores / "utterances" / "part-00000.parquet")
    write_json(
        {"name": "ours", "codebook": "annomi", "codebook_sha256": corpus.codebook.hash}, scores / "manifest.json"
    )
    return corpus, folder, scores, tags


def test_tags_are_written_with_the_model_as_a_coder_of_its_own(scored, tmp_path):
    corpus, folder, scores, tags = scored
    files, codings = runs.export(ExportRun(corpus=str(folder), scores=str(scores), to=str(tmp_path / "tags.csv")))
    assert codings == tags.sum()
    again = import_files(files[0], "long", "annomi", {"T": "therapist", "C": "client"})
    assert again.coders == ["model:ours"]
    assert again.utterances["session_id"].nunique() == 2
    run = ExportRun(corpus=str(folder), scores=str(scores), to=str(tmp_path / "both.csv"), coders=True)
    again = import_files(runs.export(run)[0][0], "long", "annomi", {"T": "therapist", "C": "client"})
    assert set(again.coders) == {"model:ours", *corpus.coders}


def test_what_is_there_is_not_written_over(scored, tmp_path):
    _, folder, _, _ = scored
    run = {"corpus": str(folder), "to": str(tmp_path / "codings.csv")}
    runs.export(ExportRun(**run))
    before = (tmp_path / "codings.csv").read_bytes()
    with pytest.raises(OutputExistsError, match="exists already"):
        runs.export(ExportRun(**run))
    runs.export(ExportRun(**run, overwrite=True))
    assert (tmp_path / "codings.csv").read_bytes() == before
    assert not list(tmp_path.glob(".*"))


def test_one_session_goes_to_the_file_that_is_named_and_several_to_a_folder(tmp_path):
    corpus = make_corpus(1)
    corpus.save(tmp_path / "several")
    corpus.select(corpus.sessions["session_id"][:1]).save(tmp_path / "one")
    to = tmp_path / "tags.vtt"
    assert runs.export(ExportRun(corpus=str(tmp_path / "one"), to=str(to)))[0] == [to]
    assert to.read_text(encoding="utf-8").startswith("WEBVTT")
    with pytest.raises(InputError, match=r"tags\.vtt: names one file, but each of 2 sessions.*format=webvtt"):
        runs.export(ExportRun(corpus=str(tmp_path / "several"), to=str(to), overwrite=True))
    files, _ = runs.export(ExportRun(corpus=str(tmp_path / "several"), to=str(tmp_path / "tags"), format="webvtt"))
    assert [file.parent for file in files] == [tmp_path / "tags"] * 2


@pytest.mark.parametrize(
    ("to", "names"),
    [
        ("P01.S03", ["P01.S03.json", "P01.S03.config.xml"]),
        ("P01.S03.json", ["P01.S03.json", "P01.S03.config.xml"]),
        ("tags", ["tags.json", "tags.config.xml"]),
    ],
)
def test_a_dot_in_the_name_of_a_file_stays(to, names, tmp_path):
    folder = make_corpus(1).save(tmp_path / "corpus")
    files, _ = runs.export(ExportRun(corpus=str(folder), to=str(tmp_path / to), format="label_studio"))
    assert files == [tmp_path / name for name in names]


def test_no_session_takes_the_file_of_another(tmp_path):
    documents = [Document(session=name, lines=[], marks=[], facts={}) for name in ("A", "a", "a (2)", "a:b", "a/b")]
    form = writer("webvtt", tmp_path)
    files = write_documents(documents, form, tmp_path, make_corpus(1))
    assert len({file.name.casefold() for file in files}) == len(documents) == len(list(tmp_path.iterdir()))


def test_what_cannot_be_exported_is_said(scored, tmp_path):
    _, folder, scores, _ = scored
    with pytest.raises(InputError, match=r"to=\.: names no file"):
        runs.export(ExportRun(corpus=str(folder), to=".", format="csv"))
    with pytest.raises(
        SettingsError, match=r"corpus: found ''; expected the corpus that was scored.*threers import makes"
    ):
        ExportRun(scores=str(scores), to=str(tmp_path / "x.xlsx"))
    with pytest.raises(SettingsError, match=r"no format has the suffix '\.abc'; expected format= one of csv"):
        runs.export(ExportRun(corpus=str(folder), to=str(tmp_path / "x.abc")))
    manifest = scores / "manifest.json"
    write_json({"name": "ours", "codebook": "other", "codebook_sha256": "0"}, manifest)
    with pytest.raises(InputError, match="made with codebook other"):
        runs.export(ExportRun(corpus=str(folder), scores=str(scores), to=str(tmp_path / "x.csv")))
    with pytest.raises(InputError, match=r"originals=.*is not there"):
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / "other.eaf").write_text("x")
        run = ExportRun(corpus=str(folder), to=str(tmp_path / "x"), format="elan", originals=str(tmp_path / "in"))
        runs.export(run)


def test_tiers_are_added_to_the_labs_own_file(tmp_path):
    from tests.lab_tables import marks

    source = EXAMPLES / "session.eaf"
    first = import_files(source, codebook="3rs-2015", roles={"*": "patient"})
    folder = first.save(tmp_path / "corpus")
    run = ExportRun(corpus=str(folder), to=str(tmp_path / "out"), format="elan", originals=str(source))
    files, _ = runs.export(run)
    assert [path.name for path in files] == ["session.eaf"]
    again = import_files(files[0], codebook="3rs-2015", roles={"*": "patient"})
    assert again.utterances["text"].tolist() == first.utterances["text"].tolist()
    assert [mark for mark in marks(again) if mark[3]] == [mark for mark in marks(first) if mark[3]]


def test_an_empty_original_is_named(tmp_path):
    original = tmp_path / "session.eaf"
    shutil.copy(EXAMPLES / "session.eaf", original)
    folder = import_files(original, codebook="3rs-2015", roles={"*": "patient"}).save(tmp_path / "corpus")
    original.write_bytes(b"")
    run = ExportRun(corpus=str(folder), to=str(tmp_path / "out"), format="elan", originals=str(original))
    with pytest.raises(
        InputError, match=r"originals=.*: session\.eaf: the file is empty.*; expected the file as imported"
    ):
        runs.export(run)


def test_of_two_originals_of_one_name_the_one_that_was_imported_is_taken(tmp_path):
    for folder, name in (("1", "session.eaf"), ("2", "elan.eaf")):
        (tmp_path / "in" / folder).mkdir(parents=True)
        shutil.copy(EXAMPLES / name, tmp_path / "in" / folder / "s.eaf")
    first = import_files(tmp_path / "in", codebook="3rs-2015", roles={"*": "patient"})
    folder, where = first.save(tmp_path / "corpus"), str(tmp_path / "in")
    [made], _ = runs.export(ExportRun(corpus=str(folder), to=str(tmp_path / "out"), format="elan", originals=where))
    assert import_files(made, codebook="3rs-2015", roles={"*": "patient"}).utterances.equals(first.utterances)
