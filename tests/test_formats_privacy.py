"""What may identify a person in a transcript: found by kind, and no text of it leaves."""

import time
from dataclasses import replace
from datetime import date

import pandas as pd
import pytest

from threers import runs
from threers.errors import InputError
from threers.formats.privacy import KINDS, find_identifiers, read_names, summarise
from threers.jobs import ImportRun


def kinds(text, names=()):
    table = pd.DataFrame({"session_id": ["s"], "utterance_id": [3], "speaker": ["Anna"], "text": [text]})
    found = find_identifiers(table, names)
    assert found["session_id"].isin(["s"]).all()
    assert found["utterance_id"].isin([3]).all()
    return dict(zip(found["kind"], found["count"], strict=True))


@pytest.mark.parametrize(
    "text",
    [
        "write to anna.b+x@example.org",
        "Anna <a_b@mail.example.co.uk>, please",
        "jürgen@bücher.example",
        "it's 12345678@example.org",
    ],
)
def test_addresses_of_e_mail_are_found(text):
    assert kinds(text) == {"e-mail": 1}


@pytest.mark.parametrize(
    "text",
    [
        "call +49 431 880-1234",
        "+49 (0) 431 880 12 34",
        "(+49) 431 8801234",
        "0049 431 8801234.",
        "+4915112345678",
        "it's 0431 / 880 12 34, I think",
        "0431/8801234",
        "0431\u2013880\u00a01234",
        "(030) 123 4567",
        "01 99 00 42 87",
        "06.39.98.01.27",
        "0 4 3 1 8 8 0 2 2 9 4",
        "555-123-4567",
        "(555) 123-4567",
        "(555)123-4567",
        "1-555-123-4567",
        "555.123.4567",
        "my number is 555-0142",
        "020 7946 0958",
        "+44 (0)20 7946 0958",
        "01632 960001",
        "07700 900 123",
        "at 00:01:02 she gave 0431 8801234",
    ],
)
def test_telephone_numbers_are_found(text):
    assert kinds(text) == {"phone": 1}


@pytest.mark.parametrize(
    "text",
    [
        "I was born on 12.03.1985",
        "12. 3. 1985",
        "12.3.85",
        "3/12/1985",
        "3/12/85",
        "03-12-1985",
        "1985-03-12",
        "1985-03-12T10:30:00",
        "1985/3/12",
        "12 March 1985",
        "12th of March, 1985",
        "the 1st Sept. '85",
        "March 12th, 1985",
        "MARCH 12 1985",
        "12-Mar-1985",
        "am 3. März 1985 in Kiel",
        "am 3. Ma\u0308rz 1985",
        "3.Dezember 2001",
        "31. Mai 1950",
        "born in 1985",
        "born in Kiel in 1985",
        "she was born March 1985",
        "ich bin 1985 in Kiel geboren",
        "geboren am 3. Mai 1985",
        "geb. 1985",
        "Jahrgang 1985",
        "year of birth: 1985",
        f"1.1.{date.today().year}",
    ],
)
def test_dates_that_may_be_of_birth_are_found(text):
    assert kinds(text) == {"date of birth": 1}


@pytest.mark.parametrize(
    "text",
    [
        "number 1234 5678 9012 3456",
        "4929-1234-2019-8888",
        "12345678",
        "A123456780, my insurance",
        "65 170839 J 003",
        "756.1234.5678.97",
        "123-45-6789",
        "DE44 5001 0517 5407 3249 31",
        "DE02120300000000202051",
        "GB29 NWBK 6016 1331 9268 19",
        "NL02ABNA0123456789",
        "12-34-56 12345678",
        "3 1 8 8 0 2 2 9 4",
    ],
)
def test_long_numbers_are_found(text):
    assert kinds(text) == {"long number": 1}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@home, he said",
        "a@b and @ and @@ and 3@2.5",
        "at 00:01:02 and 10:30",
        "00:00:01.000 --> 00:00:04.000",
        "#00:01:02-3# 00:01:05,250",
        "7 times in 2019, about 15 or 20",
        "in 2019 2020 2021, from 1985-1990, 2019/20 2020/21",
        "1-2-3-4-5-6-7",
        "1 2 3 4 5 6 7 8 9 10 11 12",
        "breathe: 1 2 3 4 1 2 3 4 1 2 3 4",
        "10 9 8 7 6 5 4 3 2 1",
        "100 93 86 79 72 65",
        "100 - 93 - 86 - 80 - 73 - 66 - 59",
        "one 1, two 2, three 3: I counted 1, 2, 3, 4, 5, 6, 7, 8, 9",
        "they were 12 15 18 20 22",
        "100,000 or 1,234,567.89 or 1.234.567,89",
        "3.141592653 or 0.12345678 or 2.5 3.5 4.5 1.5 or 300.02 296.32",
        "1500-2500, 10 000 000, 10000000",
        "24/7, 365 days",
        "12.03. at ten, 12 March, March 1985, in 1985",
        "31.12.1899, 1850-01-02",
        "12.03.2099, 2099-03-12",
        "born in Kiel, and then nothing",
        "[NAME_1] came on [DATE] at five with [PHONE_12345678]",
        "<NAME 12> [P-1] XXX XXXX {ORT_2} 880 1234",
    ],
)
def test_counting_times_years_amounts_and_placeholders_are_not_found(text):
    assert kinds(text) == {}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a@example.org or b@uni-kiel.de", {"e-mail": 2}),
        ("0431 8801234, or 0171 2345678", {"phone": 2}),
        ("3/12/1985 or 1985-03-12 or 12 March 1985 or March 12th, 1985 or 3. März 1985", {"date of birth": 5}),
        ("12.03.1985 0431 8801234", {"phone": 1, "date of birth": 1}),
        ("03.12.1985-04.12.1985, 1985-03-12/1985-03-14", {"date of birth": 4}),
        ("+49431 8801234 / +49171 2345678", {"phone": 2}),
        ("12345" * 100_000, {"long number": 1}),
        ("born 12.03.1985, born 1985", {"date of birth": 2}),
        ("0431.8801234@example.org", {"e-mail": 1}),
        ("12.03.1985 10:30 1234 5678 9012 3456 a@example.org", {"e-mail": 1, "date of birth": 1, "long number": 1}),
        ("anna@example.org is Anna's; Anna May 3, 1985", {"e-mail": 1, "date of birth": 1, "name": 2}),
    ],
)
def test_a_stretch_of_text_counts_under_one_kind(text, wanted):
    assert kinds(text, ["Anna", "May"] if "name" in wanted else ()) == wanted


def test_names_are_whole_words_however_they_are_written():
    names = ["Zoë", "Anna Maria", "Anna", "O'Brien", "Weiß", "Karl-Heinz", "'t Hooft", "***", ""]
    assert kinds("zoë met Zoe\u0308 and ANNA \n\u00a0Maria's sister", names) == {"name": 3}
    assert kinds("O\u2019Brien, WEISS, karl-heinz, 't Hooft, Anna\u2019s Anna", names) == {"name": 6}
    assert kinds("Zoe, Zoës, Annas, Joanna, Weißer, Brien, Karl, t, *** and list do not count", names) == {}
    assert kinds("Zoe\u0308", ["Zoe"]) == {}
    assert kinds("Anna", ()) == {}


def test_findings_are_sorted_by_session_utterance_and_kind_and_hold_no_text():
    texts = ["0431 8801234 a@b.org", "c@d.org", "none", "Anna 12345678, 87654321"]
    table = pd.DataFrame({"session_id": ["t", "s", "s", "s"], "utterance_id": [0, 10, 3, 9], "text": texts})
    found = find_identifiers(table, ["Anna"])
    assert found.to_dict("split")["data"] == [
        ["s", 9, "long number", 2],
        ["s", 9, "name", 1],
        ["s", 10, "e-mail", 1],
        ["t", 0, "e-mail", 1],
        ["t", 0, "phone", 1],
    ]
    assert found.dtypes.astype(str).to_dict() == {
        "session_id": "str",
        "utterance_id": "int64",
        "kind": "str",
        "count": "int64",
    }
    assert set(found["kind"]) <= set(KINDS)
    assert list(find_identifiers(table[:0]).dtypes) == list(found.dtypes)


def test_the_summary_has_kinds_and_numbers_only():
    table = pd.DataFrame(
        {"session_id": ["s", "t"], "utterance_id": [0, 1], "text": ["a@b.org", "c@d.org 0431 8801234"]}
    )
    assert summarise(find_identifiers(table)) == ["e-mail: 2 in 2 sessions", "phone: 1 in 1 session"]
    assert summarise(find_identifiers(table[:0])) == []


@pytest.mark.parametrize(
    "unit",
    [
        "1", "0", "@", " ", "1 ", "0-", "a@", "a.", "a@a.", "1.", "1,000", "(", "+1", "19", "1985 ", "12.03.", "12:",
        "1 (", "born ", "born in ", "may 1 ", "Anna ", "Anna  Maria", "\u0308", "\u0660", "a1", "DE44 ",
    ],
)  # fmt: skip
def test_no_text_takes_long(unit):
    start = time.process_time()
    kinds(unit * (1_000_000 // len(unit)) + "@", ["Anna Maria X", "Anna Maria", "A"])
    assert time.process_time() - start < 5


def test_the_list_of_names_is_read(tmp_path):
    (tmp_path / "names.txt").write_text("\ufeff# patients\nZoë\n\n Anna Maria \r\n---\n", encoding="utf-8")
    assert read_names(tmp_path / "names.txt") == ["Zoë", "Anna Maria"]
    (tmp_path / "none.txt").write_text("# nobody\n")
    with pytest.raises(InputError, match=r"names=.*none\.txt: holds no name") as told:
        read_names(tmp_path / "none.txt")
    assert "nobody" not in str(told.value)
    with pytest.raises(InputError, match=r"names=.*nowhere\.txt: No such file"):
        read_names(tmp_path / "nowhere.txt")
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(InputError, match=r"names=.*empty\.txt: the file is empty; expected a text file with"):
        read_names(tmp_path / "empty.txt")


def test_an_import_that_is_to_refuse_identifiers_writes_nothing(tmp_path):
    (tmp_path / "s.txt").write_text("T: how is work\nP: write to anna@clinic.example\n")
    given = {"source": str(tmp_path / "s.txt"), "corpus": str(tmp_path / "corpus"), "codebook": "3rs-2015"}
    run = ImportRun(**given, roles={"T": "therapist", "P": "patient"}, privacy="refuse")
    with pytest.raises(InputError, match=r"e-mail: 1 in 1 session\. Nothing was written") as refused:
        runs.import_corpus(run)
    assert "anna" not in str(refused.value) and not (tmp_path / "corpus").exists()
    runs.import_corpus(replace(run, privacy="warn"))
    assert (tmp_path / "corpus" / "identifiers.csv").is_file()
