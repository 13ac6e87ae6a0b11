"""The page that shows an agreement table: its parts, what it must not hold, and that a browser can read it."""

import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from tests.conftest import make_corpus
from threers import agreement, runs
from threers.agreement.judgements import build_frames
from threers.codebook import Codebook
from threers.corpus import Corpus
from threers.floors import FLOORS, floor_codings, floor_ratings, floor_tags
from threers.jobs import AgreeRun
from threers.report import agreement_report, write_report
from threers.report.blocks import Heading, Row, Section, Table, numbered
from threers.report.codes import marks_and_f1_of_all
from threers.report.comparison import Estimate, interval, number
from threers.report.marking import confused
from threers.report.probabilities import curve_of
from threers.report.svg import Drawing, ticks
from threers.scores import scores_to_codings

PARTS = (
    "summary verdicts data codes confusion prevalence probabilities sessions segments pairs parts drop-in method"
).split()
VOID = {"meta", "br", "img", "link", "input", "hr"}


class Page(HTMLParser):
    """Reads a page as a browser does, and keeps what the tests ask for."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids, self.headings, self.tags, self.open, self.text, self.attributes = [], [], [], [], [], []
        self.drawings: list[set[str]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append((tag, attrs))
        self.attributes += [value or "" for value in attrs.values()]
        if "id" in attrs:
            self.ids.append(attrs["id"])
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "svg":
            self.drawings.append(set())
        elif "svg" in self.open:
            self.drawings[-1].add(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)


def scores_of(corpus: Corpus, seed: int, noise: float) -> pd.DataFrame:
    """A stand-in for a model: the first coder's codes with noise, as probabilities and tags."""
    rng = np.random.default_rng(seed)
    table = corpus.utterances[["session_id", "utterance_id", "role", "start", "end"]].reset_index(drop=True)
    own = corpus.codings[corpus.codings["unit"] == "utterance"].drop_duplicates(["session_id", "unit_id", "code"])
    given = {
        (session, unit, code): True
        for session, unit, code in own[["session_id", "unit_id", "code"]].itertuples(index=False)
    }
    keys = list(zip(table["session_id"], table["utterance_id"], strict=True))
    tags = [[] for _ in keys]
    for family in corpus.codebook.tag_families():
        marked = np.array([[(*key, code) in given for code in family.codes] for key in keys])
        p = 1 / (1 + np.exp(-(np.where(marked, 2.0, -2.0) + rng.normal(0, noise, marked.shape))))
        p[~corpus.codebook.legal_mask(table["role"], family.codes)] = np.nan
        for code, column in zip(family.codes, p.T, strict=True):
            table[f"p_{code}"] = column.astype("float32")
        for n, row in enumerate(p):
            if not np.isnan(row).any():
                best = [family.codes[int(row.argmax())]]
                chosen = (
                    best
                    if family.kind == "exclusive"
                    else [c for c, one in zip(family.codes, row, strict=True) if one > 0.5]
                )
                tags[n] += [
                    *chosen,
                    *(above for code in chosen for above in corpus.codebook.ancestors(code) if above not in chosen),
                ]
    table["tags"] = tags
    return table


def report(corpus: Corpus, models: tuple[str, ...] = ("model:tiny",), noise: float = 1.5, floors=(), **options) -> str:
    scores = {name: scores_of(corpus, seed, noise) for seed, name in enumerate(models)}
    machines = [*floors, *(scores_to_codings(table, corpus.codebook, name) for name, table in scores.items())]
    codings = pd.concat([corpus.codings, *machines], ignore_index=True)
    group = corpus.group_of
    table = agreement.agree(
        codings, corpus.utterances, group, corpus.codebook, probabilities=scores, resamples=100, segment_minutes=0.5
    )
    return agreement_report(corpus, machines, scores, table, agreement.verdicts(table), **options)


@pytest.fixture(scope="module")
def html() -> str:
    return report(make_corpus(8))


def parts_of(html: str) -> list[str]:
    return re.findall(r'<section id="([^"]+)"', html)


def test_the_page_has_its_parts_in_their_order(html):
    assert parts_of(html) == PARTS
    assert "SYNTHETIC" not in html


def test_the_page_is_whole_and_every_drawing_says_what_it_shows(html):
    page = Page(html)
    assert not page.open
    assert len(page.ids) == len(set(page.ids)) > 40
    assert len(page.drawings) > 20
    assert all({"title", "desc"} <= drawing for drawing in page.drawings)
    said = ("aria-labelledby", "aria-describedby")
    named = {attrs[name] for tag, attrs in page.tags if tag == "svg" for name in said}
    assert named <= set(page.ids)
    assert page.headings[0] == 1 and page.headings.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(page.headings, page.headings[1:], strict=False))
    scopes = [attrs.get("scope") for tag, attrs in page.tags if tag == "th"]
    assert set(scopes) == {"col", "row", "rowgroup"}


def test_the_page_needs_nothing_from_elsewhere(html):
    page = Page(html)
    assert not [tag for tag, _ in page.tags if tag in ("script", "img", "link", "iframe", "object")]
    assert not [value for value in page.attributes if "//" in value]
    assert "url(" not in html and "@import" not in html
    assert "content=\"default-src 'none'; style-src 'unsafe-inline'\"" in html
    links = [attrs["href"] for tag, attrs in page.tags if tag == "a"]
    assert all(link.startswith("#") and link[1:] in page.ids for link in links)


def canaries() -> Corpus:
    corpus = make_corpus(6)
    rename = {name: f"SESSIONCANARY{n}" for n, name in enumerate(corpus.sessions["session_id"])}
    for table in (corpus.sessions, corpus.utterances, corpus.codings):
        table["session_id"] = table["session_id"].map(rename)
    corpus.sessions = corpus.sessions.assign(
        source_file="FILECANARY.csv", patient_id="PATIENTCANARY", therapist_id="THERAPISTCANARY", secret="COLUMNCANARY"
    )
    corpus.sessions["group_id"] = "GROUPCANARY" + corpus.sessions["group_id"]
    corpus.utterances["text"] = "TEXTCANARY <b>&amp;</b> " + corpus.utterances["text"]
    corpus.utterances["speaker"] = "SPEAKERCANARY"
    corpus.rejects = pd.DataFrame(
        [("FILECANARY.csv", 1, "row rejected: 'VALUECANARY'")], columns=["file", "row", "reason"]
    )
    corpus.check()
    return corpus


def test_no_text_and_no_name_leaves_the_corpus():
    found = report(canaries())
    assert "CANARY" not in found
    assert "no text of transcripts" in found


def test_text_comes_when_it_is_asked_for_and_nothing_else():
    found = report(canaries(), noise=9.0, include_text=True)
    assert "TEXTCANARY &lt;b&gt;&amp;amp;&lt;/b&gt; " in found
    assert not re.search("SESSIONCANARY|FILECANARY|PATIENTCANARY|GROUPCANARY|SPEAKERCANARY|VALUECANARY", found)
    assert "disagreements" in parts_of(found)
    assert "no text of transcripts" not in found
    tables = re.findall(r"disagreements of tiny and the consensus.*?</table>", found, re.S)
    rows = [table.count("TEXTCANARY") for table in tables]
    assert rows and max(rows) == 20


def test_names_are_escaped():
    corpus = make_corpus(6)
    raw = {**corpus.codebook.raw, "title": "<script>alert('title')</script>"}
    families = {name: {**family} for name, family in raw["families"].items()}
    families["client_talk"]["title"] = "<script>alert('family')</script>"
    codes = dict(families["client_talk"]["codes"])
    codes["change"] = {"title": "<script>alert('code')</script>"}
    families["client_talk"]["codes"] = codes
    corpus.codebook = Codebook.from_dict({**raw, "families": families})
    corpus.codings["coder_id"] = corpus.codings["coder_id"].replace(
        {"A": "<script>alert('A')</script>", "B": '"><svg onload=x>'}
    )
    found = report(corpus, ("model:<script>alert('model')</script>",))
    assert "<script" not in found and "<svg onload" not in found
    assert found.count("&lt;script&gt;alert(&#39;code&#39;)") > 5
    assert not Page(found).open


def test_attributes_of_a_drawing_are_escaped():
    drawing = Drawing(1, 1, "title", "description")
    drawing.add("text", 'a"><script>', "b", fill='"><script>')
    assert "<script" not in drawing.svg("name")


def test_without_a_model_its_parts_vanish_and_the_rest_stands():
    corpus = make_corpus(6)
    found = report(corpus, ())
    assert parts_of(found) == [
        part for part in PARTS if part not in ("verdicts", "confusion", "probabilities", "drop-in")
    ]
    assert "<h1>Agreement of coders</h1>" in found
    assert "consensus" not in " ".join(Page(found).text[:40])
    assert "Calderon" not in found and "Brier" not in found and "Krippendorff" in found


def test_one_coder_one_group_and_no_times_are_said():
    corpus = make_corpus(1, 2)
    corpus.codings = corpus.codings[corpus.codings["coder_id"] == "A"].reset_index(drop=True)
    corpus.utterances["start"] = np.nan
    text = " ".join(Page(report(corpus)).text)
    assert "No utterance was judged by two coders." in text
    assert "All sessions belong to one group" in text
    assert "No times are known" in text
    assert "cannot be put in a coder's place" in text


def test_several_models_stand_side_by_side():
    found = report(make_corpus(6), ("model:one", "model:two"))
    page = Page(found)
    assert not page.open and len(page.ids) == len(set(page.ids))
    assert "model-2 fill" in found and ">one</th>" in found and ">two</th>" in found


def test_codes_with_parents_several_coders_and_ratings_have_their_parts():
    corpus = lab()
    found = report(corpus)
    assert "parent marked without any of its children" in found
    assert "Ratings of whole sessions" in found
    assert "W1: Denial" in found
    assert "A code with codes below it counts as marked wherever one of these is." in found
    assert "F1 within 2" in found
    assert "of their coders gave, such as one of two" not in found
    # Drawn are the parents only.
    assert "Calibration of W: Withdrawal" in found and "Calibration of W1" not in found


def test_a_tagger_that_rates_nothing_is_said_to_where_the_floor_does():
    corpus = lab()
    tags = floor_codings(corpus, floor_tags(corpus, corpus)[FLOORS[0]], FLOORS[0])
    found = report(corpus, floors=[tags, floor_ratings(corpus, corpus)])
    assert "tagger and floor with the mean of the coders" in found
    assert "The tagger rates no sessions." in found


def test_therapists_floors_and_folds_are_cautioned_of():
    corpus = lab()
    corpus.sessions["therapist_id"] = "T"
    scores = scores_of(corpus, 0, 3.0)
    silent = scores.assign(tags=[[] for _ in range(len(scores))])
    names = {"model:tiny": scores, "floor:most-frequent": silent}
    machines = [scores_to_codings(table, corpus.codebook, name) for name, table in names.items()]
    group = corpus.group_of
    codings = pd.concat([corpus.codings, *machines], ignore_index=True)
    own = {"model:tiny": scores}
    table = agreement.agree(codings, corpus.utterances, group, corpus.codebook, probabilities=own, resamples=50)
    table.attrs["folds"] = 3
    text = " ".join(Page(agreement_report(corpus, machines, own, table, agreement.verdicts(table))).text)
    assert "1 therapist worked with these" in text
    assert "no higher than that of a floor" in text
    assert "Winning rate of silence" in text
    assert "marks only what most utterances have" in text
    assert "divided into 3 parts" in text and "As floors" in text


def test_the_bias_of_each_coder_is_drawn_where_coders_share_units():
    corpus = make_corpus(6)
    found = report(corpus)
    drawn = dict(re.findall(r"<title[^>]*>Bias of the coders, ([^<]+)</title><desc[^>]*>([^<]+)</desc>", found))
    assert len(drawn) == len(corpus.codebook.tag_codes())
    marks = corpus.codings.assign(marked=corpus.codings["code"].eq("question"))
    marks = marks.pivot_table(index=["session_id", "unit_id"], columns="coder_id", values="marked").dropna()
    roles = corpus.utterances.set_index(["session_id", "utterance_id"])["role"].reindex(marks.index)
    rate = marks[(roles == "therapist").to_numpy()].mean()
    points = number(100 * (rate["A"] - rate["B"]), signed=True, digits=1)
    assert rate["A"] != rate["B"] and f"A {points};" in drawn["Question"]
    alone = make_corpus(6)
    alone.codings = alone.codings[alone.codings["coder_id"] == "A"]
    assert "Bias of the coders" not in report(alone)


def test_marks_of_the_model_stand_beside_the_f1_of_marking_everything():
    # 100 units, 40 marked by the reference, 50 by the model.
    assert marks_and_f1_of_all(Estimate(0.1, np.nan, np.nan, 100, 40, 5)) == ["50", "0.57"]


def test_coders_of_segments_alone_have_a_page():
    corpus = lab()
    own = corpus.codings[corpus.codings["unit"] == "utterance"]
    segments = own.assign(unit="segment", unit_id=own["unit_id"] // 6).drop_duplicates(
        ["session_id", "unit_id", "coder_id", "code"]
    )
    corpus.codings = segments.reset_index(drop=True)
    corpus.check()
    found = report(corpus, ())
    assert "Segments: coders with each other" in found
    assert parts_of(found) == ["summary", "data", "codes", "sessions", "segments", "method"]
    # Three coders of segments can be held against each other's consensus, but the test is made of utterances.
    assert "alternative annotator" not in report(corpus)


def lab() -> Corpus:
    """Patients and therapists, three coders of 3RS codes, two raters of sessions."""
    corpus = make_corpus(6)
    rng = np.random.default_rng(1)
    roles = {"client": "patient", "therapist": "therapist"}
    corpus.utterances["role"] = corpus.utterances["role"].map(roles)
    corpus.codebook = Codebook.load("3rs-2015")
    rows = []
    for session, unit, role in corpus.utterances[["session_id", "utterance_id", "role"]].itertuples(index=False):
        usual = rng.choice(["W1", "W2", "C", ""] if role == "patient" else ["R1", "R", ""])
        for coder in "abc":
            code = usual if rng.random() > 0.2 else ""
            rows.append((session, "utterance", unit, coder, code or None, 1.0 if code else np.nan))
    for session in corpus.sessions["session_id"]:
        rows += [(session, "session", 0, coder, "resolution_extent", float(rng.integers(1, 6))) for coder in "ab"]
    corpus.codings = pd.DataFrame(rows, columns=list(corpus.codings.columns)).astype(corpus.codings.dtypes.to_dict())
    corpus.check()
    return corpus


def test_agree_writes_the_page_beside_the_table(tmp_path):
    corpus = make_corpus(6)
    corpus.manifest["synthetic"] = True
    corpus.save(tmp_path / "corpus")
    runs.agree(AgreeRun(corpus=str(tmp_path / "corpus"), out=str(tmp_path / "out"), resamples=100))
    page = tmp_path / "out" / "agreement.html"
    assert page.stat().st_mode & 0o077 == 0
    assert not [path for path in (tmp_path / "out").iterdir() if path.suffix in (".tmp", ".partial")]
    assert "SYNTHETIC data." in page.read_text(encoding="utf-8")


def test_a_page_that_cannot_be_written_leaves_the_old_one_and_nothing_beside_it(tmp_path):
    page = tmp_path / "page.html"
    write_report("old", page)
    with pytest.raises(UnicodeEncodeError):
        write_report("TEXTCANARY" * 10_000 + "\ud800", page)
    assert [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()] == ["old"]


def test_two_tables_without_texts_have_a_page(tmp_path):
    for name, codes in (("anna", "xyxxyx"), ("ben", "xyxyyx")):
        rows = [f"{session},{n},{code}" for session in ("s1", "s2") for n, code in enumerate(codes)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["session,number,code", *rows]), encoding="utf-8")
    runs.agree(
        AgreeRun(a=str(tmp_path / "anna.csv"), b=str(tmp_path / "ben.csv"), out=str(tmp_path / "out"), resamples=100)
    )
    found = (tmp_path / "out" / "agreement.html").read_text(encoding="utf-8")
    assert "Length of the utterance" not in found
    assert "No times are known" in found


def test_a_unit_with_several_codes_counts_once_in_all():
    utterances = pd.DataFrame([("s", n, "patient") for n in range(4)], columns=["session_id", "utterance_id", "role"])
    marks = {
        "a": {0: ["W1", "W2"], 1: ["W"], 2: [None], 3: ["W1"]},
        "model:m": {0: ["W1"], 1: ["W1"], 2: ["W2"], 3: ["W1"]},
    }
    rows = [
        ("s", "utterance", n, rater, code, 1.0)
        for rater, own in marks.items()
        for n, codes in own.items()
        for code in codes
    ]
    codings = pd.DataFrame(rows, columns=["session_id", "unit", "unit_id", "coder_id", "code", "value"])
    codebook = Codebook.load("3rs-2015")
    frame = build_frames(codings, utterances, pd.Series({"s": "g"}), codebook)[0]
    names, table = confused(frame, 1, frame.consensus, codebook)
    found = {(names[b], names[a]): table[b, a] for b, a in np.argwhere(table)}
    expected = {("W1", "W1"): 1.5, ("W2", "W1"): 0.5, ("(W)", "W1"): 1.0, ("nothing", "W2"): 1.0}
    assert found == expected
    assert table.sum() == 4


def test_the_curve_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    marked = rng.random(80) < 0.3
    p = np.round(marked * 0.3 + rng.random(80) * 0.7, 1)
    precision, recall, _ = metrics.precision_recall_curve(marked, p)
    ours = curve_of(p, marked)
    theirs = np.column_stack([recall, precision])[::-1][1:]
    assert ours == pytest.approx(theirs)


def test_figures_are_written_with_two_decimals_and_a_true_minus():
    assert number(-0.004) == "0.00"
    assert number(-0.126, signed=True) == "\N{MINUS SIGN}0.13"
    assert number(float("nan")) == "undefined"
    assert interval(0.5, 0.25, 0.75) == "0.50 [0.25, 0.75]"
    assert interval(0.5, float("nan"), float("nan")) == "0.50"


@pytest.mark.parametrize("low, high", [(0, 1), (0, 7), (0, 61), (-13.2, 13.2), (-0.4, 0.4), (3, 3)])
def test_an_axis_has_few_round_values(low, high):
    found = ticks(low, high)
    assert 1 <= len(found) <= 7
    assert all(low <= value <= high for value in found)
    assert found == sorted(set(found))


def test_tables_are_numbered_through_the_page_and_text_that_is_too_long_is_cut():
    table = Table("caption", ["a"], [Row(["x"])])
    parts = [Section("one", "One", [table, Heading("x")]), Section("two", "Two", [table, Table("none", ["a"], [])])]
    found = numbered(parts)
    assert [found[0].blocks[0].number, found[1].blocks[0].number] == [1, 2]
    assert not found[1].blocks[1:], "without rows"
    drawing = Drawing(100, 20, "title", "words")
    drawing.text("row", (0, 10), "a very long title <of> a code", room=62)
    assert "a very lo…</text>" in drawing.svg("d")
