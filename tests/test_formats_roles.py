import pytest

from tests.lab_tables import load
from threers.errors import SettingsError
from threers.formats import UnknownSpeakersError
from threers.formats.roles import read_roles

TALK = "speaker,text\nA,How are you?\nB,fine really fine\nA,Why?\n"
FILES = {"s1.csv": TALK, "s2.csv": TALK}


def roles_of(corpus):
    return corpus.utterances.groupby("session_id")["role"].agg(list).to_dict()


def test_a_table_of_roles_may_differ_from_file_to_file(tmp_path):
    table = tmp_path / "roles.csv"
    table.write_text("file,speaker,role\n,A,therapist\n,B,patient\ns2.csv,A,patient\ns2.*,b,therapist\n")
    (tmp_path / "in").mkdir()
    corpus = load(tmp_path / "in", FILES, "wide", roles=table, every_role=True)
    assert roles_of(corpus) == {
        "s1": ["therapist", "patient", "therapist"],
        "s2": ["patient", "therapist", "patient"],
    }


def test_a_folder_may_have_roles_of_its_own(tmp_path):
    table = tmp_path / "roles.tsv"
    table.write_text("speaker\trole\tfile\n*\tother\tin/*\n")
    (tmp_path / "in").mkdir()
    assert set(load(tmp_path / "in", FILES, "wide", roles=str(table)).utterances["role"]) == {"other"}


def test_speakers_without_a_role_are_described_and_never_guessed(tmp_path):
    with pytest.raises(UnknownSpeakersError, match="1 speakers have no role, so nothing was written") as caught:
        load(tmp_path, FILES, "wide", roles={"A": "therapist"}, every_role=True)
    table = caught.value.speakers.set_index(["file", "speaker"])
    assert table.loc[("s1.csv", "A")].to_list() == ["therapist", 2, pytest.approx(4 / 7), 1.0]
    assert table.loc[("s2.csv", "B")].to_list() == ["unknown", 1, pytest.approx(3 / 7), 0.0]
    assert "fine" not in str(caught.value)


def test_who_is_said_to_be_unknown_stays_so(tmp_path):
    corpus = load(tmp_path, FILES, "wide", roles={"A": "therapist", "*": "unknown"}, every_role=True)
    assert roles_of(corpus)["s1"] == ["therapist", "unknown", "therapist"]


def test_a_line_without_a_speaker_is_no_unknown_speaker(tmp_path):
    corpus = load(tmp_path, {"s1.csv": "speaker,text\nT,hello\n,hm\n"}, "wide", every_role=True)
    assert roles_of(corpus)["s1"] == ["therapist", "unknown"]


def test_a_table_of_roles_with_a_fault_is_named(tmp_path):
    (tmp_path / "roles.csv").write_text("who,role\nA,therapist\n")
    with pytest.raises(SettingsError, match=r"roles=.*roles\.csv: found columns who, role; expected file, speaker"):
        read_roles(tmp_path / "roles.csv")
    with pytest.raises(SettingsError, match=r"nowhere\.csv: No such file"):
        read_roles(tmp_path / "nowhere.csv")
    (tmp_path / "roles.csv").write_text("speaker,role\nA,doctor\n")
    (tmp_path / "in").mkdir()
    with pytest.raises(SettingsError, match="roles: A: found 'doctor'"):
        load(tmp_path / "in", FILES, "wide", roles=tmp_path / "roles.csv")
