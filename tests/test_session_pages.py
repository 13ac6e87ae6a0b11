"""Pages of sessions and their index, as files: what they hold, what they must not hold, and what is refused."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.scored import data_of, make_scored
from threers import runs
from threers.codebook import Codebook
from threers.corpus import Corpus, conform
from threers.errors import InputError, OutputExistsError
from threers.jobs import ReportRun
from threers.report.html import file_stem, island
from threers.report.lanes import Lane, lanes
from threers.report.session_index import Row, _mark_unusual, modified_z
from threers.scores import scored_sessions, write_parquet


def pages(folder: Path, **options) -> Path:
    """Make the pages of small scores; `options` of the corpus begin with an underscore."""
    made = {key[1:]: options.pop(key) for key in list(options) if key.startswith("_")}
    scores, corpus = make_scored(folder, **made)
    out = folder / "pages"
    runs.report(ReportRun(**({"scores": str(scores), "corpus": str(corpus), "out": str(out)} | options)))
    return out


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    return pages(tmp_path_factory.mktemp("made"))


def test_there_is_a_page_for_each_session_and_an_index(made):
    names = {path.name for path in made.glob("*.html")}
    assert names == {"index.html", f"{file_stem('P01-1')}.html", f"{file_stem('P01-2')}.html"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in made.glob("*.html"))


def test_scores_that_leave_utterances_to_humans_have_pages(tmp_path):
    scores, _ = make_scored(tmp_path)
    for part in (scores / "utterances").glob("*.parquet"):
        table = pd.read_parquet(part)
        write_parquet(table.assign(abstained=[["W"], *([] for _ in table.index[1:])]), part)
    assert runs.report(ReportRun(scores=str(scores), out=str(tmp_path / "pages"))) == 2


def test_a_page_holds_tags_probabilities_and_every_coder(made):
    data = data_of(made / f"{file_stem('P01-1')}.html")
    names = [code["name"] for code in data["codes"]]
    utterance = data["utterances"][7]
    assert [names[code] for code in utterance["tags"]] == ["C1", "C"]
    assert utterance["p"][data["legal"][utterance["role"]].index(names.index("C1"))] == 600
    assert [[data["coders"][coder], [names[code] for code in own]] for coder, own in utterance["by"]] == [
        ["A", []],
        ["B", ["C", "C1"]],
    ]
    assert {lane["letter"]: lane["below"] for lane in data["lanes"]} == {"W": False, "C": False, "R": True}
    assert data["codes"][names.index("W2")]["threshold"] == 400


def test_model_and_coders_have_their_own_ruptures(made):
    own = data_of(made / f"{file_stem('P01-1')}.html")["ruptures"]
    # Utterances lie 20 seconds apart: by the coders' codes the rupture goes on at 17, in the second segment.
    shown = {one["who"]: (one["begins"], one["ends"], one["repaired"]) for one in own}
    assert shown == {"model": (3, 13, 20), "coders": (3, 17, None)}


def test_codes_of_whole_segments_are_on_the_page_and_make_ruptures(tmp_path):
    scores, folder = make_scored(tmp_path, coders={})
    corpus = Corpus.load(folder)
    given = [(0, "W2", 1.0), (1, "R5", 1.0), (2, None, None)]
    rows = [("P01-1", "segment", number, "A", code, value) for number, code, value in given]
    corpus.codings = conform(pd.DataFrame(rows, columns=list(corpus.codings.columns)), "codings")
    corpus.save(folder, overwrite=True)
    runs.report(ReportRun(scores=str(scores), corpus=str(folder), out=str(tmp_path / "pages")))
    data = data_of(tmp_path / "pages" / f"{file_stem('P01-1')}.html")
    names = [code["name"] for code in data["codes"]]
    held = {one["number"]: [names[code] for _, own in one["by"] for code in own] for one in data["segments"]}
    assert held == {0: ["W", "W2"], 1: ["R", "R5"], 2: []}
    (people,) = [one for one in data["ruptures"] if one["who"] == "coders"]
    # Patients speak at odd numbers, therapists at even ones; 15 utterances start in a segment.
    assert (people["begins"], people["ends"], people["repaired"]) == (1, 13, 16)


def test_without_text_no_page_has_any(made, tmp_path):
    assert not any("Words of utterance" in path.read_text(encoding="utf-8") for path in made.iterdir())
    with_text = pages(tmp_path, include_text=True)
    assert data_of(with_text / f"{file_stem('P01-2')}.html")["utterances"][5]["text"] == "Words of utterance 5"


def test_the_page_says_what_is_synthetic_and_how_episodes_are_defined(made):
    html = (made / f"{file_stem('P01-1')}.html").read_text(encoding="utf-8")
    assert "SYNTHETIC" in html and "SYNTHETIC" in (made / "index.html").read_text(encoding="utf-8")
    assert "segments of 5 minutes" in html and "in its segment or the next 2 segments" in html


def test_the_security_policy_allows_the_page_its_own_script_and_style_only(made):
    for path in made.glob("*.html"):
        policy = re.search(r'Content-Security-Policy" content="([^"]+)"', path.read_text(encoding="utf-8"))[1]
        rules = dict(rule.split(" ", 1) for rule in policy.replace("&#39;", "'").split("; "))
        assert rules.keys() == {"default-src", "style-src", "script-src", "base-uri", "form-action"}
        assert {rules[name] for name in ("default-src", "base-uri", "form-action")} == {"'none'"}
        assert all(re.fullmatch(r"'sha256-[\w+/]{43}='", rules[name]) for name in ("style-src", "script-src"))


def test_scores_alone_are_enough(tmp_path):
    out = pages(tmp_path, corpus="")
    data = data_of(out / f"{file_stem('P01-1')}.html")
    assert data["coders"] == [] and len(data["utterances"]) == 40


def test_blind_pages_and_their_index_say_nothing_of_the_tags(tmp_path):
    out = pages(tmp_path, blind=True)
    assert data_of(out / f"{file_stem('P01-1')}.html")["blind"]
    index = (out / "index.html").read_text(encoding="utf-8")
    assert "P01-1" in index and "<svg" not in index and "5 min" not in index and "Ruptures" not in index


def test_other_codebooks_have_lanes_of_their_own():
    shown = [(lane.title, lane.letter, lane.below) for lane in lanes(Codebook.load("annomi"))]
    assert shown[:4] == [
        ("Change talk", "C", False),
        ("Neutral", "N", False),
        ("Sustain talk", "S", False),
        ("Question", "Q", True),
    ]
    for name in ("talkmoves", "wikitactics"):
        letters = [lane.letter for lane in lanes(Codebook.load(name))]
        assert len(set(letters)) == len(letters)


def test_names_of_files_are_safe_and_differ():
    ids = ["../../etc/passwd", "Müller, 3. Sitzung", "a/b", "a b", "A-B", "", "x" * 300, "CON"]
    stems = [file_stem(name) for name in ids]
    assert len(set(stems)) == len(ids)
    assert all(set(stem) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") and len(stem) < 50 for stem in stems)


def test_an_island_cannot_be_left():
    written = str(island({"x": "</script><!--<script>&\u2028"}))
    assert not set(written) & set("<>&\u2028")


def test_sessions_come_one_by_one_though_they_cross_batches(tmp_path, monkeypatch):
    monkeypatch.setattr("threers.scores.ROWS_AT_ONCE", 7)
    scores, _ = make_scored(tmp_path, {"a": 5, "b": 16, "c": 7, "d": 1})
    parts = sorted((scores / "utterances").iterdir())
    whole = pd.concat([pd.read_parquet(part) for part in parts], ignore_index=True)
    whole.to_parquet(tmp_path / "whole.parquet", index=False)
    for files in (parts, [tmp_path / "whole.parquet"]):
        found = [
            (part["session_id"].iloc[0], len(part), part["utterance_id"].iloc[-1])
            for part in scored_sessions(files, Codebook.load("3rs-2015"))
        ]
        assert found == [("a", 5, 4), ("b", 16, 15), ("c", 7, 6), ("d", 1, 0)]


def test_the_index_has_figures_drawings_and_the_course_of_a_patient(made):
    index = (made / "index.html").read_text(encoding="utf-8")
    assert f'href="{file_stem("P01-2")}.html"' in index
    # In each 5 minutes 15 utterances start: W2, C1, R5 and W5 among the first, R10 later.
    assert "Withdrawal: 2 0 0; Confrontation: 1 0 0; Resolution strategies: 1 1 0" in index
    assert "Course of P01" in index and "Sessions 1, 2." in index


def test_unusual_is_what_lies_beyond_the_modified_z_score_and_nothing_among_few():
    values = np.array([1.0, 2, 3, 4, 5, 100, 3, np.nan, 3])
    spread = np.median(np.abs(values[~np.isnan(values)] - 3))
    z = modified_z(values)
    assert z[5] == pytest.approx(0.6745 * 97 / spread) and z[7] == 0
    assert not modified_z(values[:6]).any()


def test_lanes_of_the_same_title_are_both_looked_at():
    own = [Lane(title="Other", letter=letter, codes=(letter,), below=False) for letter in "OP"]
    usual = {"facts": {}, "minutes": 50.0, "utterances": 9, "counts": [0, 0], "bins": [], "ruptures": 0, "repaired": 0}
    rates = [[float(n % 4), 1.0 * (n % 3)] for n in range(9)] + [[90.0, 1.0]]
    rows = [Row(session_id=str(n), rates=rate, ratings={}, **usual) for n, rate in enumerate(rates)]
    _mark_unusual(rows, own)
    assert [row.unusual for row in rows] == [[]] * 9 + [["▲ other"]]


def test_what_does_not_fit_is_refused_in_one_line(tmp_path):
    scores, _ = make_scored(tmp_path)
    with pytest.raises(InputError, match=r"include_text=true: .* hold no text; give the corpus"):
        runs.report(ReportRun(scores=str(scores), out=str(tmp_path / "o"), include_text=True))
    other = tmp_path / "other"
    make_scored(other, codebook=Codebook.from_dict({**Codebook.load("3rs-2015").raw, "title": "mine"}))
    with pytest.raises(InputError, match=r"made with codebook 3rs-2015, not with the corpus's"):
        runs.report(ReportRun(scores=str(scores), corpus=str(other / "corpus"), out=str(tmp_path / "o")))
    changed = tmp_path / "changed"
    make_scored(changed, {"P01-1": 39, "P01-2": 30})
    with pytest.raises(InputError, match=r"session 'P01-1': 40 utterances were scored, the corpus has 39"):
        run = ReportRun(scores=str(scores), corpus=str(changed / "corpus"), out=str(tmp_path / "o"), include_text=True)
        runs.report(run)
    with pytest.raises(InputError, match="no session in common"):
        make_scored(tmp_path / "others", {"x": 9})
        runs.report(ReportRun(scores=str(scores), corpus=str(tmp_path / "others" / "corpus"), out=str(tmp_path / "o")))
    assert not (tmp_path / "o").exists()


def test_pages_that_are_there_are_made_again_but_no_others_are_touched(tmp_path):
    scores, _ = make_scored(tmp_path)
    run = ReportRun(scores=str(scores), out=str(tmp_path / "o"))
    assert runs.report(run) == runs.report(run) == 2
    with pytest.raises(OutputExistsError, match="another run"):
        runs.report(ReportRun(scores=str(scores), out=str(tmp_path / "o"), blind=True))


def test_codebooks_of_older_scores_are_found_by_their_hash(tmp_path):
    scores, _ = make_scored(tmp_path)
    (scores / "codebook.yaml").unlink()
    assert runs.report(ReportRun(scores=str(scores), out=str(tmp_path / "o"))) == 2


def test_the_verb_says_where_to_look(tmp_path):
    scores, corpus = make_scored(tmp_path)
    words = ["report", f"scores={scores}", f"corpus={corpus}", f"out={tmp_path / 'o'}"]
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "threers.cli", *words],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert done.stdout.strip() == f"2 sessions: open {tmp_path / 'o' / 'index.html'} in a browser"
    assert "| torch" not in done.stderr and " torch\n" not in done.stderr
