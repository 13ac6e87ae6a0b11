"""Nothing of a transcript goes where it was not asked to go: every verb, also where it fails, in a lab of its own.

Texts, speakers, patients and files bear marks that stand nowhere else; whatever was said and written is searched.
"""

import io
import json
import re
import shutil
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.lab import HOMES, Lab
from tests.test_cli import local, threers
from threers import runs
from threers.jobs import PurgeRun

TEXT, NAMED, SPEAKER, PATIENT, FILE = "zqtext", "Zqnamed", "zqspeaker", "zqpatient", "zqfile"
QUICK = ["resamples=100"]
CPU = ["device=cpu", "precision=float32"]
ROLES = f"roles={{{SPEAKER}T: therapist, {SPEAKER}C: client}}"
#: Made to hold the transcript, or asked for it.
WITH_TEXT = re.compile(
    r"(corpus|other|new)/utterances\.parquet|sample/sheets/.*|tags.*|source/.*|asked/.*|texts/utterances/.*"
)
#: Made to hold the names that the lab's files give to patients, beside those.
WITH_PATIENTS = re.compile(
    rf"{WITH_TEXT.pattern}|(corpus|other|new)/sessions\.parquet|sample/sampling\.csv|pages/.*\.html"
)


def coded(groups: int, first: int = 0, coders=("A", "B")) -> pd.DataFrame:
    """A row per coding; what the codes follow from is one word, as in `conftest.make_corpus`."""
    rng, rows = np.random.default_rng(first), []
    words = {"C": {"angry": "sustain", "want": "change", "week": "neutral"}, "T": {"why": "question", "well": "other"}}
    for session in range(2 * first, 2 * (first + groups)):
        for turn in range(12):
            who = "TC"[turn % 2]
            word = str(rng.choice(list(words[who])))
            text = f"{word} {TEXT}{turn} {NAMED} and so on"
            for coder in coders:
                rows.append(
                    (f"s{session}", turn, SPEAKER + who, text, f"{PATIENT}{session // 2}", coder, words[who][word])
                )
    return pd.DataFrame(rows, columns=["session", "turn", "speaker", "text", "patient", "coder", "code"])


def made_sources(folder: Path) -> None:
    """Coded sessions, those of other patients, transcripts, and files with faults."""
    source = folder / "source"
    source.mkdir()
    for number, first in enumerate((0, 6)):
        table = coded(6, first).astype({"turn": object})
        table.loc[0, "code"] = table.loc[1, "turn"] = table["text"][0]  # in the wrong cells, and so in rejects.csv
        table.to_csv(source / f"{FILE}-coded{number}.csv", index=False)
    for number in range(3):
        lines = "\n".join(f"{SPEAKER}{'TC'[n % 2]}: {TEXT}{n} how is {NAMED}" for n in range(12))
        (source / f"{FILE}-new-{PATIENT}{number}.txt").write_text(lines)
    (folder / "names.txt").write_text(f"{NAMED}\n")
    whole = io.BytesIO()
    coded(2).to_excel(whole, index=False)
    (source / f"{FILE}-half.xlsx").write_bytes(whole.getvalue()[:-400])
    (source / f"{FILE}-half.json").write_text(json.dumps(coded(1).to_dict("records"))[:-30])
    torn = coded(1)
    torn["code"] = torn["text"]
    torn.to_csv(source / f"{FILE}-codes.csv", index=False)


def test_the_tests_have_no_network(network_log):
    code = "import socket; socket.create_connection(('192.0.2.1', 9))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "the tests have no network" in done.stderr
    with pytest.raises(OSError, match="the tests have no network"):
        socket.getaddrinfo("example.org", 80)
    assert network_log.read_text().split("\n")[1:] == ["socket.getaddrinfo example.org", ""]
    network_log.unlink()


@pytest.fixture(scope="module")
def lab(tiny_folder, tmp_path_factory):
    """A lab in which every verb has run, and some have failed."""
    own = Lab(tmp_path_factory.mktemp("lab") / "work")
    made_sources(own.folder)
    whole_way(own, tiny_folder)
    failures(own, tiny_folder)
    own.close()
    return own


def whole_way(lab: Lab, backbone: Path) -> None:
    long = ["reader=long", "codebook=annomi", ROLES]
    for name, number in (("corpus", 0), ("other", 1)):
        done(lab, "import", f"source=source/{FILE}-coded{number}.csv", f"corpus={name}", *long, "names=names.txt")
    done(lab, "import", f"source=source/{FILE}-new-*.txt", "corpus=new", "codebook=annomi", ROLES)
    done(lab, "adapt", "corpus=corpus", "out=adapted", *local(backbone)[:4], "epochs=1", *CPU)
    done(lab, "evaluate", "corpus=corpus", "out=evaluation", "folds=2", *QUICK, *local(backbone))
    done(lab, "train", "corpus=corpus", "tagger=tagger", "calibration=evaluation", *local(backbone))
    done(lab, "score", "tagger=tagger", "source=other", "out=scores", "engine.shard_sessions=2", *CPU)
    done(
        lab, "score", "tagger=tagger", f"source=source/{FILE}-new-*.txt", "out=texts", ROLES, "include_text=true", *CPU
    )
    done(lab, "agree", "corpus=other", "scores=scores", "out=agreement", *QUICK)
    done(lab, "report", "scores=scores", "corpus=other", "out=pages")
    done(lab, "export", "corpus=other", "scores=scores", "to=tags.xlsx")
    done(lab, "export", "corpus=other", "to=tags.csv")
    done(lab, "sample", "corpus=new", "out=sample", "n=2")
    done(lab, "purge", "path=pages")
    done(lab, "doctor")


def done(lab: Lab, *words) -> None:
    said = lab.threers(*words)
    assert said.status == 0, said.err


def failures(lab: Lab, backbone: Path) -> None:
    train = ["train", "corpus=corpus", *local(backbone)]
    long = ["codebook=annomi", "reader=long"]
    first = f"source=source/{FILE}-coded0.csv"
    fails(lab, "import", first, "corpus=corpus", *long, ROLES)
    fails(lab, "import", first, "corpus=a", *long, "roles={Z: nobody}")
    fails(lab, "import", first, "corpus=a", *long, ROLES, "privacy=refuse", "names=names.txt")
    for file in ("half.xlsx", "half.json", "codes.csv"):
        fails(lab, "import", f"source=source/{FILE}-{file}", "corpus=a", *long, ROLES)
    fails(lab, *train, "tagger=tagger")
    fails(
        lab, *train, "tagger=b", "backbone.learning_rate=0.99", "training.head_learning_rate=0.99", "training.epochs=0"
    )
    fails(lab, "score", "tagger=tagger", f"source=source/{FILE}-half.json", "out=c", *CPU)
    fails(lab, "agree", "corpus=corpus", "scores=evaluation", "out=d")
    crash = (
        "import threers.runs as runs; runs.agree = lambda run: float(runs.Corpus.load('corpus').utterances['text'][0])"
    )
    fails(lab, "purge", "path=source", "confirm=true")
    said = lab.threers("agree", "corpus=corpus", "out=e", before=crash)
    assert said.status == 1
    assert "ValueError: a fault in threers" in said.err
    cut = "cut.training/checkpoints/checkpoint-*/trainer_state.json"
    assert lab.threers(*train, "tagger=cut", "training.epochs=50", kill_when=f".{cut}").status == -9
    adapt = ["adapt", "corpus=corpus", *local(backbone)[:4], "epochs=50", *CPU]
    fails(lab, *adapt, "out=tagger", "overwrite=true")
    assert lab.threers(*adapt, "out=half", kill_when=f".{cut.replace('cut', 'half')}").status == -9
    fails(lab, "evaluate", "corpus=corpus", "out=f", "folds=2", *local(Path("adapted")))


def fails(lab: Lab, *words) -> None:
    said = lab.threers(*words)
    assert said.status == 2, said.err
    assert len(said.err.strip().splitlines()) == 1, said.err


def found(mark: str, folder: Path) -> list[str]:
    """Files below `folder` with this mark in their name or content, upper case or lower, packed or not."""
    mark = mark.lower()
    files = (path for path in folder.rglob("*") if path.is_file())
    return [str(path.relative_to(folder)) for path in files if mark in path.name.lower() or _holds(path, mark)]


def _holds(path: Path, mark: str) -> bool:
    content = path.read_bytes()
    parts = [content]
    if zipfile.is_zipfile(path):
        archive = zipfile.ZipFile(path)
        parts += [archive.read(name) for name in archive.namelist()]
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        parts += [str(table.schema.metadata).encode(), *(repr(column.to_pylist()).encode() for column in table)]
    spelt = [mark.encode(code) for code in ("utf-8", "utf-16-le", "utf-16-be")]
    return any(form in part.lower() for part in parts for form in spelt)


def test_the_search_finds_what_is_packed(tmp_path):
    pq.write_table(pa.table({"a": [TEXT.upper()] * 99}), tmp_path / "a.parquet", compression="zstd")
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inside", TEXT * 99)
    (tmp_path / "c.txt").write_text("nothing")
    assert sorted(found(TEXT, tmp_path)) == ["a.parquet", "b.zip"]


def test_text_stands_only_where_it_was_asked_for(lab):
    holding = set(found(TEXT, lab.folder)) | set(found(NAMED, lab.folder))
    assert {"corpus/utterances.parquet", "tags.xlsx", "sample/sheets/sheet-001.csv"} <= holding
    assert not [name for name in holding if not WITH_TEXT.fullmatch(name) and name != "names.txt"]


def test_speakers_and_patients_stand_only_where_they_are_needed(lab):
    roles = re.compile(rf"{WITH_TEXT.pattern}|(corpus|other|new)/manifest\.json")  # who has which role
    assert not [name for name in found(SPEAKER, lab.folder) if not roles.fullmatch(name)]
    # Files of the lab that are called after patients give their names to sessions, as docs/privacy.md says.
    sessions = re.compile(rf"{WITH_PATIENTS.pattern}|texts/.*|new/.*|sample/.*")
    assert not [name for name in found(PATIENT, lab.folder) if not sessions.fullmatch(name)]


def test_a_tagger_an_evaluation_and_an_agreement_name_no_file(lab):
    for folder in ("adapted", ".half.training", "tagger", "evaluation", "agreement", ".cut.training"):
        assert (lab.folder / folder).is_dir()
        assert not found(FILE, lab.folder / folder)


def test_nothing_is_said_of_texts_and_patients(lab):
    for said in lab.said:
        for mark in (TEXT, NAMED, PATIENT):
            assert mark.lower() not in (said.out + said.err).lower(), said
        assert SPEAKER not in said.err, said


def test_nothing_is_left_in_the_home_the_cache_and_the_temporary_folder(lab):
    home = lab.folder.parent
    left = [str(path.relative_to(home)) for name in HOMES.values() for path in (home / name).rglob("*")]
    # Where its packages are installed, doctor unpacks the backbone mpnet, which holds nothing of the lab's.
    assert not [path for path in left if not re.match(r"cache/threers(/backbones(/mpnet-.*)?)?$", path)]


def test_no_verb_tries_the_network_nor_imports_a_library_before_its_switches_are_set(lab, network_log):
    assert {word for said in lab.said for word in said.early.split()} == set()
    assert not network_log.exists()


def test_everything_written_is_for_its_owner_only(lab):
    ours = [path for path in lab.folder.rglob("*") if not path.is_relative_to(lab.folder / "source")]
    open_to_others = [path for path in ours if path.stat().st_mode & 0o077 and path.name != "names.txt"]
    assert not open_to_others


def test_purge_knows_every_folder_that_a_verb_wrote(lab, tmp_path):
    copy = shutil.copytree(lab.folder, tmp_path / "copy")
    kinds = [
        one.kind
        for name in (
            "corpus",
            "other",
            "new",
            "adapted",
            "half",
            "tagger",
            "cut",
            "evaluation",
            "scores",
            "texts",
            "agreement",
            "pages",
            "sample",
        )
        for one in runs.purge(PurgeRun(path=str(copy / name), confirm=True))
    ]
    assert set(kinds) == {
        "corpus",
        "adapted backbone",
        "unfinished adaptation",
        "tagger",
        "unfinished training",
        "evaluation",
        "scores",
        "agreement",
        "pages",
        "sample",
    }
    assert {path.name for path in copy.iterdir()} == {"source", "names.txt", "tags.xlsx", "tags.csv"}


def test_an_utterance_in_the_column_of_the_speakers_is_not_shown(tmp_path):
    (tmp_path / "a.csv").write_text("speaker,text\nDr. Anna von der Berg,Why?\nP<I never told my mother about it,p1\n")
    done = threers("import", f"source={tmp_path / 'a.csv'}", f"corpus={tmp_path / 'c'}", "codebook=3rs-2015")
    assert done.returncode == 2
    assert "mother" not in done.stdout + done.stderr
    assert "(7 words, not shown)" in done.stdout
    assert "Anna von der Berg" in done.stdout
