import time

import pandas as pd
import pytest

from threers.errors import InputError
from threers.formats.privacy import find_identifiers, read_names, summarise


def kinds(text, names=()):
    table = pd.DataFrame({"session_id": ["s"], "utterance_id": [3], "speaker": ["Anna"], "text": [text]})
    found = find_identifiers(table, names)
    assert found["session_id"].isin(["s"]).all()
    assert found["utterance_id"].isin([3]).all()
    return dict(zip(found["kind"], found["count"], strict=True))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("write to anna.b+x@example.org or b@uni-kiel.de", {"e-mail": 2}),
        ("call +49 431 880-1234", {"phone": 1}),
        ("it's 0431 / 880 12 34, or (030) 123 4567", {"phone": 2}),
        ("555-123-4567", {"phone": 1}),
        ("I was born on 12.03.1985", {"date of birth": 1}),
        ("3/12/1985 or 1985-03-12 or 12 March 1985 or March 12th, 1985 or 3. März 1985", {"date of birth": 5}),
        ("born in 1985", {"date of birth": 1}),
        ("number 1234 5678 9012 3456", {"long number": 1}),
        ("DE44 5001 0517 5407 3249 31", {"long number": 1}),
        ("at 00:01:02 and 10:30, 7 times in 2019, about 15 or 20 of 100,000", {}),
        ("one 1, two 2, three 3: I counted 1, 2, 3, 4, 5, 6, 7, 8, 9", {}),
        ("[NAME_1] came on [DATE] at five", {}),
        ("@home, he said 50 % or 3.5", {}),
    ],
)
def test_what_may_identify_a_person_is_counted_once(text, wanted):
    assert kinds(text) == wanted


def test_names_are_whole_words_however_they_are_written():
    names = ["Zoë", "Anna Maria", "Li"]
    assert kinds("zoë met Zoe\u0308 and ANNA  Maria's sister; Zoës and list do not count", names) == {"name": 3}
    assert kinds("nobody", names) == {}


def test_no_text_comes_out(tmp_path):
    table = pd.DataFrame(
        {"session_id": ["s", "t"], "utterance_id": [0, 1], "text": ["a@b.org", "c@d.org 0431 8801234"]}
    )
    found = find_identifiers(table)
    assert list(found) == ["session_id", "utterance_id", "kind", "count"]
    assert summarise(found) == ["e-mail: 2 in 2 sessions", "phone: 1 in 1 sessions"]
    assert find_identifiers(table[:0]).empty


@pytest.mark.parametrize(
    "text", ["1" * 2_000_000, "1 " * 1_000_000, "a@" * 1_000_000, "0-" * 1_000_000, "a." * 1_000_000 + "@"]
)
def test_no_text_takes_long(text):
    start = time.monotonic()
    kinds(text)
    assert time.monotonic() - start < 10


def test_the_list_of_names_is_read(tmp_path):
    (tmp_path / "names.txt").write_text("# patients\nZoë\n\n Anna Maria \n", encoding="utf-8")
    assert read_names(tmp_path / "names.txt") == ["Zoë", "Anna Maria"]
    (tmp_path / "none.txt").write_text("# nobody\n")
    with pytest.raises(InputError, match=r"names=.*none\.txt: holds no name"):
        read_names(tmp_path / "none.txt")
    with pytest.raises(InputError, match=r"names=.*nowhere\.txt: No such file"):
        read_names(tmp_path / "nowhere.txt")
