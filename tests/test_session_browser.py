"""The session page in a real browser, opened from a file: looking, filtering, correcting, coding blind, and what it
must never do.
"""

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.scored import data_of, make_scored
from threers import runs
from threers.codebook import Codebook
from threers.formats import import_files
from threers.jobs import ExportRun, ReportRun
from threers.report.html import file_stem

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium or google-chrome on PATH")
QUIET = (
    "--headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync "
    "--no-first-run"
).split()
FIRST = f"{file_stem('P01-1')}.html"
HOSTILE = '</script><script>hacked=1</script><img src=x onerror="hacked=1">"\'><svg onload=hacked=1>&lt;b&gt;'


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        yield (one := started.chromium.launch(executable_path=CHROMIUM, args=QUIET))
        one.close()


class Visit:
    """One tab with its own storage; notes requests, errors and what the security policy refused."""

    def __init__(self, browser, path: Path, **options) -> None:
        self.context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True, **options)
        self.page = self.context.new_page()
        self.requests, self.faults = [], []
        self.context.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", lambda said: self.faults.append(said.text) if said.type == "error" else None)
        self.page.on("dialog", lambda dialog: self.faults.append(dialog.message))
        self.page.goto(path.as_uri())
        if path.name != "index.html":
            self.page.wait_for_function("document.documentElement.dataset.ready")

    def tags(self, utterance: int, kind: str) -> list[str]:
        """The codes that are shown at an utterance by the `model`, as `given` by coders, or as `yours`."""
        return self.page.locator(f"#u{utterance} .tag.{kind} b").all_text_contents()

    def shown(self) -> list[int]:
        rows = self.page.locator("#utterances li:not([hidden])")
        return [int(name[1:]) for name in rows.evaluate_all("rows => rows.map(row => row.id)")]

    def current(self) -> int:
        return int(self.page.locator("#utterances [aria-current]").get_attribute("id")[1:])

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def code(self, coder: str, **decisions: str) -> None:
        self.page.fill("#coder", coder)
        self.page.locator("#panel-heading").focus()
        for utterance, code in decisions.items():
            self.page.click(f"#u{utterance[1:]} .time")
            self.page.click(f"#codes label:has(b:text-is('{code}'))")

    def saved(self, to: Path) -> Path:
        with self.page.expect_download() as download:
            self.page.click("#save")
        path = to / download.value.suggested_filename
        download.value.save_as(path)
        return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    scores, corpus = make_scored(folder)
    for name, options in (("open", {"include_text": True}), ("blind", {"blind": True})):
        runs.report(ReportRun(scores=str(scores), corpus=str(corpus), out=str(folder / name), **options))
    return folder


@pytest.fixture
def visit(browser, folder):
    opened = []

    def open_(name: str = f"open/{FIRST}", **options) -> Visit:
        opened.append(Visit(browser, folder / name, **options))
        return opened[-1]

    yield open_
    for one in opened:
        assert not one.faults
        assert all(url.startswith(("file:", "blob:")) for url in one.requests), one.requests
        one.context.close()


def test_a_page_opens_from_a_file_and_asks_for_nothing_else(visit):
    seen = visit()
    assert seen.requests == [seen.page.url]
    assert seen.page.locator("#utterances li").count() == 40
    assert seen.page.locator("#u7 .text").text_content() == "Words of utterance 7"
    assert seen.tags(3, "model") == ["W2"] and seen.tags(17, "given") == ["W1"]
    figures = seen.page.inner_text("#figures")
    assert "withdrawal 2, confrontation 1, resolution strategies 2. 1 rupture, 1 repaired." in figures


def test_labels_follow_the_threshold(visit):
    seen = visit()
    slider = seen.page.locator("#threshold")
    slider.fill("65")
    playwright.expect(seen.page.locator("#u3 .tag.model b")).to_have_text("W")
    assert seen.page.inner_text("#threshold-said") == ".65"
    slider.fill("80")
    playwright.expect(seen.page.locator(".tag.model")).to_have_count(0)
    slider.fill("1")
    playwright.expect(seen.page.locator("#u0 .tag.model")).not_to_have_count(0)
    seen.page.click("#own-thresholds")
    assert seen.tags(3, "model") == ["W2"] and seen.tags(0, "model") == []


def test_filters_leave_what_was_asked_for(visit):
    seen = visit()
    seen.page.click("#lanes button:has-text('Confrontation')")
    assert seen.shown() == [7]
    seen.page.click("#lanes button:has-text('Resolution')")
    assert seen.shown() == [7, 8, 20]
    seen.press("d")
    # One of two coders marked 7, which is half of them; 20 has the model only.
    assert seen.shown() == [20]
    assert "1 of 40" in seen.page.inner_text("#shown")
    seen.page.fill("#search", "no such words")
    playwright.expect(seen.page.locator("#nothing")).to_be_visible()
    seen.page.click("#show-all")
    assert len(seen.shown()) == 40
    seen.page.fill("#search", "denial")
    playwright.expect(seen.page.locator("#shown")).to_have_text("1 of 40")
    assert seen.shown() == [17]


def test_keys_go_through_the_session(visit):
    seen = visit()
    seen.press("j", "ArrowDown", "k")
    assert seen.current() == 1
    seen.press("n", "n")
    assert seen.current() == 7
    assert "Patient rejects" in seen.page.inner_text("#codes") and "C1" in seen.page.inner_text("#definition")
    seen.press("p")
    assert seen.current() == 3
    seen.page.focus("#timeline")
    seen.press("ArrowRight", "ArrowRight")
    said = seen.page.get_attribute("#timeline", "aria-valuetext")
    assert said == "2:40, therapist, Acknowledges own contribution to the rupture"
    seen.press("End")
    assert seen.current() == 39
    seen.press("/")
    assert seen.page.evaluate("document.activeElement.id") == "search"
    seen.press("j")
    assert seen.page.input_value("#search") == "j", "no key while one writes"
    seen.press("Escape", "?")
    assert seen.page.input_value("#search") == "" and seen.page.locator("#help").is_visible()
    seen.page.uncheck("#letters")
    seen.press("Escape")
    seen.press("k")
    assert seen.current() == 39, "letters can be switched off"


def test_the_timeline_leads_to_an_utterance(visit):
    seen = visit()
    box = seen.page.locator("#timeline svg").bounding_box()
    seen.page.mouse.click(box["x"] + box["width"] - 10, box["y"] + 20)
    assert seen.current() == 39
    box = seen.page.locator("#timeline svg").bounding_box()
    d = seen.page.locator("#timeline .strong").nth(1).get_attribute("d")
    x, y = re.match(r"M([\d.]+) ([\d.]+)", d).groups()
    scale = box["width"] / float(seen.page.get_attribute("#timeline svg", "viewBox").split()[2])
    seen.page.mouse.click(box["x"] + float(x) * scale + 2, box["y"] + float(y) * scale - 5)
    assert seen.current() == 7, "the mark in the lane of confrontation"


def test_corrections_are_saved_and_imported_again(visit, folder, tmp_path):
    seen = visit()
    seen.page.click("#u3 .time")
    seen.page.click("#accept")
    assert "coder id" in seen.page.inner_text("#coder-said"), "nobody codes without a name"
    seen.page.fill("#coder", "A")
    seen.page.click("#accept")
    assert "has codings in this corpus already" in seen.page.inner_text("#coder-said")
    seen.code("=C, 1", u7="C2", u5="W5")
    seen.page.click("#u3 .time")
    seen.press("a")
    seen.page.click("#u20 .time")
    seen.press("0")
    assert seen.tags(7, "yours") == ["C1", "C2"] and seen.tags(3, "yours") == ["W2"]
    assert "no code" in seen.page.inner_text("#u20 .yours")
    assert "4 of 40 utterances decided, 4 not saved" in seen.page.inner_text("#work-said")
    file = seen.saved(tmp_path)
    assert file.name == f"{file_stem('P01-1')}--C-1.csv"
    assert "all saved" in seen.page.inner_text("#work-said")
    written = file.read_text(encoding="utf-8-sig")
    assert "Words" not in written and '"\'=C, 1"' in written

    runs.export(ExportRun(corpus=str(folder / "corpus"), to=str(tmp_path / "corpus.csv")))
    again = import_files(tmp_path / "*.csv", "exported", "3rs-2015", {"T": "therapist", "P": "patient"})
    assert not len(again.rejects), again.rejects
    own = again.codings[again.codings["coder_id"] == "=C, 1"]
    found = {(row.unit_id, None if pd.isna(row.code) else row.code) for row in own.itertuples()}
    assert found == {(3, "W2"), (5, "W5"), (7, "C1"), (7, "C2"), (20, None)}
    assert len(again.codings[again.codings["coder_id"] == "A"]) == 40, "the coders keep theirs"


def test_only_codes_that_the_role_may_have_are_offered(visit):
    seen = visit()
    seen.page.click("#u8 .time")
    assert set(seen.page.locator("#codes b").all_text_contents()) == {"R", *(f"R{n}" for n in range(1, 11))}
    seen.page.click("#u9 .time")
    assert {name[0] for name in seen.page.locator("#codes b").all_text_contents()} == {"W", "C"}


def test_a_parent_comes_and_goes_with_its_children(visit):
    seen = visit()
    seen.code("X", u5="W5")
    ticked = "#codes input:checked"
    assert seen.page.locator(ticked).count() == 2
    seen.page.click("#codes label:has(b:text-is('W'))")
    assert seen.page.locator(ticked).count() == 0 and "no code" in seen.page.inner_text("#u5 .yours")
    seen.press("u")
    assert seen.page.locator("#u5 .yours").count() == 0


def test_blind_coding_hides_everything_until_the_utterance_is_coded(visit, tmp_path):
    seen = visit(f"blind/{FIRST}")
    assert seen.page.locator(".tag").count() == 0
    assert seen.page.locator("#timeline .strong").evaluate_all("paths => paths.every(p => !p.getAttribute('d'))")
    assert not seen.page.locator("#timeline .ruptures").count() and "10" not in seen.page.inner_text("#figures")
    seen.code("X", u3="W5")
    assert seen.tags(3, "model") == [], "a tick is not yet a decision"
    assert seen.page.locator("#codes .bar").count() == 0
    seen.page.click("#accept")
    assert (seen.tags(3, "yours"), seen.tags(3, "model"), seen.tags(3, "given")) == (["W5"], ["W2"], ["W2"])
    assert seen.tags(7, "model") == []
    # Now the tag is known: what is changed is no blind coding any more; the next utterance still is.
    seen.page.click("#codes label:has(b:text-is('W2'))")
    seen.page.click("#u7 .time")
    seen.press("0")
    table = pd.read_csv(seen.saved(tmp_path), keep_default_na=False)
    assert table.groupby("utterance_id")["mode"].first().to_dict() == {3: "open", 7: "blind"}
    seen.page.uncheck("#blind")
    assert seen.tags(8, "model") == ["R5"]
    seen.page.check("#blind")
    seen.page.click("#u8 .time")
    seen.press("0")
    table = pd.read_csv(seen.saved(tmp_path), keep_default_na=False)
    assert table["mode"].iloc[-1] == "open", "who has seen the tags is not blind again"


def test_unsaved_work_survives_a_reload_and_can_be_cleared(visit, folder):
    seen = visit()
    seen.code("X", u5="W5")
    seen.page.reload()
    assert seen.tags(5, "yours") == ["W5"] and seen.page.input_value("#coder") == "X"
    assert "1 of 40 utterances decided, 1 not saved" in seen.page.inner_text("#work-said")
    assert seen.page.inner_text("#key") == data_of(folder / "open" / FIRST)["key"]
    seen.page.click("#clear")
    assert seen.tags(5, "yours") == []
    assert seen.page.evaluate("localStorage.length") == 0
    seen.page.reload()
    assert seen.tags(5, "yours") == [] and seen.page.input_value("#coder") == ""


def test_what_lies_in_the_storage_is_not_trusted(visit, folder):
    seen = visit()
    key = data_of(folder / "open" / FIRST)["key"]
    for kept in ("not json", '{"decisions":{"8":{"codes":["W1"]},"9":{"codes":["<b>"]},"999":3},"shown":7}'):
        seen.page.evaluate("([key, kept]) => localStorage.setItem(key, kept)", [key, kept])
        seen.page.reload()
        assert seen.page.locator(".yours").count() == 0 and seen.page.locator("#utterances li").count() == 40


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Path:
    raw = Codebook.load("3rs-2015").raw
    families = {name: {**family, "title": family["title"] + HOSTILE} for name, family in raw["families"].items()}
    families["withdrawal"]["codes"] = {
        code: {**about, "title": f"{about['title']}{HOSTILE}{code}", "definition": HOSTILE}
        for code, about in families["withdrawal"]["codes"].items()
    }
    book = Codebook.from_dict({**raw, "title": HOSTILE, "families": families})
    folder = tmp_path_factory.mktemp("hostile")
    coders = {f"A{HOSTILE}": {3: "W2"}}
    sessions = {f"../{HOSTILE}-1": 30, f"x{HOSTILE}": 9, "../../x-2": 9}
    scores, corpus = make_scored(folder, sessions, book, HOSTILE.replace("{", "") + " {}", coders=coders)
    out = folder / "pages"
    runs.report(ReportRun(scores=str(scores), corpus=str(corpus), out=str(out), include_text=True))
    return out


def test_nothing_in_a_corpus_runs_as_script(browser, hostile):
    paths = sorted(hostile.glob("*.html"))
    assert len(paths) == 4 and all(path.parent == hostile for path in hostile.rglob("*.html"))
    for path in paths:
        seen = Visit(browser, path)
        page = seen.page
        if path.name != "index.html":
            assert HOSTILE in page.inner_text("#u0 .text")
            seen.press("n", "n", "?")
            seen.press("Escape")
            page.hover("#u3 .tag.model")
            assert "<img src=x" in page.inner_text("#tip")
            seen.code(f"me{HOSTILE}"[:40], u5="W1")
        assert HOSTILE in page.title() or "../../x-2" in page.title()
        assert page.evaluate("typeof hacked") == "undefined"
        assert page.locator("img").count() == 0 and not seen.faults
        assert seen.requests == [page.url]
        seen.context.close()


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        (f"open/{FIRST}", "light"),
        (f"open/{FIRST}", "dark"),
        (f"blind/{FIRST}", "light"),
        ("open/index.html", "light"),
        ("open/index.html", "dark"),
    ],
)
def test_no_serious_fault_for_people_who_hear_or_see_otherwise(visit, name, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    seen = visit(name, color_scheme=scheme)
    if name == f"open/{FIRST}":
        seen.code("X", u7="C2")
    found = axe.Axe().run(seen.page).response
    assert {"color-contrast", "region", "heading-order"} <= {one["id"] for one in found["passes"]}, "it has looked"
    grave = [one for one in found["violations"] if one["impact"] in ("serious", "critical")]
    assert not [(one["id"], [node["target"] for node in one["nodes"]]) for one in grave]


def test_a_session_of_a_thousand_utterances_is_ready_at_once(browser, tmp_path):
    scores, corpus = make_scored(tmp_path, {"long": 1000})
    run = ReportRun(scores=str(scores), corpus=str(corpus), out=str(tmp_path / "o"), include_text=True)
    runs.report(run)
    seen = Visit(browser, tmp_path / "o" / f"{file_stem('long')}.html")
    # Measured: about 0.2 s; the bound leaves room for a busy machine.
    assert int(seen.page.evaluate("document.documentElement.dataset.ready")) < 3000
    seen.context.close()


def test_sessions_without_times_go_by_number(browser, tmp_path):
    scores, corpus = make_scored(tmp_path, timed=False)
    runs.report(ReportRun(scores=str(scores), corpus=str(corpus), out=str(tmp_path / "o")))
    seen = Visit(browser, tmp_path / "o" / FIRST)
    assert "utterance" in seen.page.text_content("#timeline") and seen.page.inner_text("#u7 .time") == "7"
    assert "has no times" in seen.page.text_content("#reading") and not seen.faults
    seen.context.close()


def test_print_leaves_what_is_to_be_read(visit):
    seen = visit()
    seen.page.emulate_media(media="print")
    assert not any(seen.page.locator(f"#{part}").is_visible() for part in ("controls", "panel", "work"))
    assert seen.page.locator("#timeline svg").is_visible() and seen.page.locator("#u39 .text").is_visible()


def test_the_index_is_sorted_by_its_headings_and_leads_to_the_pages(visit):
    seen = visit("open/index.html")
    first = seen.page.locator("#table tbody tr th")
    head = seen.page.locator("#table thead th:has(button:text-is('Utterances'))")
    head.locator("button").click()
    assert (head.get_attribute("aria-sort"), first.first.inner_text()) == ("descending", "P01-1")
    head.locator("button").click()
    assert (head.get_attribute("aria-sort"), first.first.inner_text()) == ("ascending", "P01-2")
    first.first.locator("a").click()
    seen.page.wait_for_function("document.documentElement.dataset.ready")
    assert seen.page.inner_text("h1") == "Session P01-2"
    seen.page.click("a[rel=prev]")
    assert seen.page.inner_text("h1") == "Session P01-1"
