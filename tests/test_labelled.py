"""SPSS files of scores: what a statistician opens has every figure, and says of each what it means."""

import numpy as np
import pandas as pd
import pytest

from tests.scored import TAGS, make_scored
from threers import runs, verbs
from threers.codebook import Codebook
from threers.errors import InputError, OutputExistsError, SettingsError
from threers.formats.spss import read_sav
from threers.formats.spss_write import Label, legal_names, write_sav
from threers.jobs import ExportRun
from threers.scores import read_scores, write_json
from threers.stored import read_json
from threers.summary import write_summaries

pyreadstat = pytest.importorskip("pyreadstat")
BOOK = Codebook.load("3rs-2015")


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """Scores with their summaries, the corpus, and the folder of what was exported of both."""
    folder = tmp_path_factory.mktemp("scored")
    scores, corpus = make_scored(folder)
    rows, _ = read_scores(scores, BOOK)
    write_summaries(lambda: [rows], BOOK, scores)
    run = ExportRun(scores=str(scores), corpus=str(corpus), to=str(folder / "spss"), format="spss")
    assert [file.name for file in runs.export_tables(run)] == ["sessions.sav", "segments.sav", "utterances.sav"]
    return scores, corpus, folder / "spss"


def test_the_command_says_what_it_wrote(scored, tmp_path, capsys):
    verbs._export(ExportRun(scores=str(scored[0]), to=str(tmp_path), format="spss"))
    assert capsys.readouterr().out == f"sessions.sav, segments.sav, utterances.sav written: {tmp_path}\n"


@pytest.mark.parametrize("name", ["sessions", "segments"])
def test_every_figure_is_there_with_the_meaning_that_the_dictionary_gives(scored, name):
    scores, _, folder = scored
    frame, about = pyreadstat.read_sav(folder / f"{name}.sav")
    table = pd.read_parquet(scores / f"{name}.parquet")
    assert frame["patient_id"].unique().tolist() == ["P01"]
    pd.testing.assert_frame_equal(frame[table.columns], table, check_dtype=False)
    told = pd.read_csv(scores / "columns.csv").query("table == @name")
    meant = {row.column: f"{row.meaning} ({row.unit})" for row in told.itertuples()}
    labels = {column: about.column_names_to_labels[column] for column in meant}
    cut = {column: label for column, label in labels.items() if label != meant[column]}
    assert set(cut) <= {"ruptures"}, "the one meaning that no label of SPSS has room for"
    for column, label in cut.items():
        assert label.endswith("…") and meant[column].startswith(label[:-1])
        assert meant[column] in " ".join(note.strip() for note in about.notes)


def test_what_the_corpus_knows_of_a_session_stands_beside_the_figures(scored):
    _, _, folder = scored
    frame, about = pyreadstat.read_sav(folder / "sessions.sav")
    assert frame[["session_id", "patient_id", "session_number", "wai"]].values.tolist() == [
        ["P01-1", "P01", 1, 4.0],
        ["P01-2", "P01", 2, 4.5],
    ]
    assert about.column_names_to_labels["therapist_id"] == "the therapist"
    assert not {"source_file", "source_sha256"} & set(frame)


def test_of_an_utterance_the_numbers_have_labels_and_no_text_is_there(scored):
    _, _, folder = scored
    frame, about = pyreadstat.read_sav(folder / "utterances.sav")
    one = frame[frame["session_id"] == "P01-1"].set_index("utterance_id")
    assert about.variable_value_labels["role"] == {1: "patient", 2: "therapist", 3: "other", 4: "unknown"}
    assert about.variable_value_labels["tag_W2"] == {0: "absent", 1: "present"}
    assert about.variable_measure["tag_W2"] == "nominal" and about.variable_measure["p_W2"] == "scale"
    marked = {number: code for number, code in TAGS.items() if one.loc[number, f"tag_{code}"] == 1}
    assert marked == TAGS
    therapist = one["role"] == 2
    assert one.loc[therapist, "tag_W2"].isna().all() and one.loc[~therapist, "tag_W2"].notna().all()
    assert np.isnan(one.loc[8, "p_W2"])
    assert not (folder / "utterances.sav").read_bytes().count(b"Words of")
    assert set(read_sav((folder / "utterances.sav").read_bytes())["role"]) == {"patient", "therapist"}


def test_without_a_corpus_the_scores_stand_alone_and_what_was_left_to_humans_too(scored, tmp_path):
    scores, _, _ = scored
    run = ExportRun(scores=str(scores), to=str(tmp_path), format="spss")
    files = runs.export_tables(run)
    assert "patient_id" not in pyreadstat.read_sav(files[0])[0]
    with pytest.raises(OutputExistsError, match=r"sessions\.sav: exists already"):
        runs.export_tables(run)
    assert len(list(tmp_path.iterdir())) == 3


def test_names_are_those_that_spss_takes(tmp_path):
    columns = ["n_a b", "n_A_B", "by", "_x", "1", "ünï-x", "ü" * 40, "end.", "session id"]
    names = legal_names(columns)
    assert list(names.values())[:6] == ["n_a_b", "n_A_B_2", "by_2", "v_x", "v1", "ünï_x"]
    table = pd.DataFrame({column: [1.5, None] for column in columns[:-1]} | {"session id": ["a", None]})
    write_sav(table, {column: Label("é" * 200) for column in columns}, tmp_path / "x.sav", "x")
    frame, about = pyreadstat.read_sav(tmp_path / "x.sav")
    assert frame.columns.tolist() == list(names.values())
    assert all(len(name.encode()) <= 64 for name in frame)
    assert frame.iloc[1, :-1].isna().all() and frame.iloc[1, -1] == ""
    assert set(about.column_labels) == {"é" * 126 + "…"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"to": "x/sessions.sav", "scores": "s"}, "expected a folder, with format=spss"),
        ({"to": "x", "format": "spss"}, "scores"),
        ({"to": "x", "format": "spss", "scores": "s", "coders": True}, "coders"),
        ({"to": "x", "scores": "s"}, "corpus"),
    ],
)
def test_keys_that_do_not_go_together_are_refused(given, message):
    with pytest.raises(SettingsError, match=message):
        ExportRun(**given)


def test_scores_that_are_not_whole_or_of_another_codebook_are_refused(scored, tmp_path):
    _, corpus, _ = scored
    scores, _ = make_scored(tmp_path)
    with pytest.raises(InputError, match=r"columns\.csv missing; score again"):
        runs.export_tables(ExportRun(scores=str(scores), to=str(tmp_path / "x"), format="spss"))
    write_json(read_json(scores / "manifest.json") | {"codebook_sha256": "0"}, scores / "manifest.json")
    with pytest.raises(InputError, match="codebook"):
        runs.export_tables(ExportRun(scores=str(scores), corpus=str(corpus), to=str(tmp_path / "x"), format="spss"))
    assert not (tmp_path / "x").exists()
