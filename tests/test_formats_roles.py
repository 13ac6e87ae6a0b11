"""Who has which role: for all files, for some, and never by a guess."""

import pytest

from tests.lab_tables import load
from threers.errors import SettingsError
from threers.formats import UnknownSpeakersError, import_files
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


@pytest.mark.parametrize("folder", ["in", "in/a[1]"])
def test_files_may_be_named_as_messages_name_them(folder, tmp_path):
    deep = [f"{folder}/{session}/talk.csv" for session in ("one", "one/more/one", "two/more/one")]
    for number, file in enumerate(deep):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(f"session,speaker,text\n{number},A,Hello?\n")
    with pytest.raises(UnknownSpeakersError) as caught:
        import_files(tmp_path / folder, "wide", "3rs-2015", every_role=True)
    table = caught.value.speakers[["file", "speaker"]].assign(role=["therapist", "patient", "other"])
    table.to_csv(tmp_path / "roles.csv", index=False)
    corpus = import_files(tmp_path / folder, "wide", "3rs-2015", roles=tmp_path / "roles.csv", every_role=True)
    named = dict(zip(corpus.sessions["source_file"], corpus.utterances["role"], strict=True))
    assert named == dict(zip(table["file"], table["role"], strict=True))


def test_spaces_around_a_name_do_not_count(tmp_path):
    corpus = load(tmp_path, FILES, "wide", roles={" A ": "therapist", "B": "patient"}, every_role=True)
    assert roles_of(corpus)["s1"] == ["therapist", "patient", "therapist"]


@pytest.mark.parametrize("roles", [{"Dr. *": "therapist", "*": "patient"}, {"*": "patient", "Dr. *": "therapist"}])
def test_a_mere_star_means_everyone_else_wherever_it_stands(roles, tmp_path):
    corpus = load(tmp_path, {"a.csv": "speaker,text\nDr. Lind,hello\nIris,hm\n"}, "wide", roles=roles)
    assert corpus.utterances["role"].tolist() == ["therapist", "patient"]


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
    (tmp_path / "roles.csv").write_text("Speaker,speaker,role\nA,A,therapist\n")
    with pytest.raises(SettingsError, match="found columns speaker, speaker, role; expected file, speaker, role"):
        read_roles(tmp_path / "roles.csv")
    (tmp_path / "roles.csv").write_text("speaker,role\nA,therapist\nB, the second,patient\n")
    with pytest.raises(SettingsError, match="row 3: too many cells: 3 where the header has 2; correct that row"):
        read_roles(tmp_path / "roles.csv")
    (tmp_path / "roles.csv").write_text("T,I see that it hurts to talk about this\nP,yes\n")
    with pytest.raises(SettingsError, match="found columns t, a text of 38 characters; expected"):
        read_roles(tmp_path / "roles.csv")
    with pytest.raises(SettingsError, match=r"nowhere\.csv: No such file"):
        read_roles(tmp_path / "nowhere.csv")
    (tmp_path / "roles.csv").write_text("speaker,role\nA,doctor\n")
    (tmp_path / "in").mkdir()
    with pytest.raises(SettingsError, match="roles: A: found 'doctor'"):
        load(tmp_path / "in", FILES, "wide", roles=tmp_path / "roles.csv")
