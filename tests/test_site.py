"""The documentation as a site: it is built without a broken link, works offline, and its reference is whole."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.pages import ROOT, blocks
from threers.agreement import COLUMNS
from threers.agreement.verdicts import VERDICT_COLUMNS
from threers.codebook import Codebook
from threers.corpus import REJECT_COLUMNS, TABLES
from threers.errors import SettingsError
from threers.prevalence import COLUMNS as PREVALENCE
from threers.verbs import VERBS

pytest.importorskip("properdocs", reason="properdocs is not installed")
sys.path.append(str(ROOT / "scripts" / "site"))
import reference


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("site") / "out"
    command = [sys.executable, "-m", "properdocs", "build", "--strict", "--quiet", "--site-dir", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


class Resources(HTMLParser):
    """What a page loads by itself, and where it links."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded, self.links = [], []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if tag in ("script", "img", "iframe", "link", "source", "object", "embed"):
            self.loaded.append((tag, found.get("src") or found.get("href") or found.get("data") or ""))
        if tag == "a" and "href" in found:
            self.links.append(found["href"])


def test_the_site_needs_no_network_and_no_script(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        found = Resources()
        found.feed(page.read_text(encoding="utf-8"))
        for tag, where in found.loaded:
            assert tag != "script", page
            assert "//" not in where, f"{page}: {where}"
            assert (page.parent / where).is_file(), f"{page}: {where}"
        for link in found.links:
            if not re.match(r"\w+:|#|$", link):
                assert (page.parent / link.partition("#")[0]).is_file(), f"{page}: {link}"
    assert not re.search(r"url\(|@import", (site / "style.css").read_text(encoding="utf-8"))


def test_every_setting_has_a_meaning():
    found = [key for verb in VERBS for key in reference.verb_keys(verb)]
    found += [key for group in reference.GROUPS for key in reference.group_keys(group)]
    assert len(found) > 100
    assert [key.name for key in found if not key.meaning] == []


def test_every_column_of_every_table_has_a_meaning(site):
    assert {name: list(meant) for name, meant in reference.CORPUS.items()} == {n: list(t) for n, t in TABLES.items()}
    others = {name: tuple(meant) for name, meant in reference.OTHERS.items()}
    assert others["agreement.csv"] == COLUMNS
    assert others["verdicts.csv"] == VERDICT_COLUMNS
    assert others["prevalence.csv"] == PREVALENCE
    assert others["rejects.csv, errors.csv"] == REJECT_COLUMNS
    page = (site / "reference" / "tables.html").read_text(encoding="utf-8")
    for column in ("rate_CODE", "segments_share_CODE", "time_to_repair", "speaking_share_patient"):
        assert f"<code>{column}</code>" in page


def test_the_reference_of_python_names_what_the_package_offers(site):
    page = (site / "reference" / "python.html").read_text(encoding="utf-8")
    for name in ("Corpus.load", "Codebook.find", "Tagger.load", "agreement.agree"):
        assert f">{name}</h3>" in page


MISTAKES = re.findall(
    r"^\| `([^`]+)` \| (?:`([^`]+)`|\(nothing\)) \| `(codebook alliance.yaml: [^`]+)` \|$",
    (ROOT / "docs" / "guides" / "codebook.md").read_text(encoding="utf-8"),
    re.M,
)


@pytest.mark.parametrize(("right", "wrong", "said"), MISTAKES)
def test_a_mistake_in_a_codebook_gives_the_line_that_the_guide_shows(right, wrong, said, tmp_path):
    [book] = [block for block in blocks(ROOT / "docs" / "guides" / "codebook.md") if block.file == "alliance.yaml"]
    text = "\n".join(book.lines)
    assert right in text
    (tmp_path / "alliance.yaml").write_text(text.replace(right, wrong, 1), encoding="utf-8")
    with pytest.raises(SettingsError) as error:
        Codebook.load(tmp_path / "alliance.yaml")
    assert str(error.value) == said


def test_the_guide_to_codebooks_shows_mistakes():
    assert len(MISTAKES) > 10
