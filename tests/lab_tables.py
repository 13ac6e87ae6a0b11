"""A lab's small tables, imported, and what came of them in plain tuples: for the tests of formats."""

from threers.corpus import Corpus
from threers.formats import Reader, import_files

ROLES = {"T": "therapist", "P": "patient"}


def load(folder, files: dict[str, str], reader: object = "long", **given) -> Corpus:
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    source = folder / next(iter(files)) if len(files) == 1 else folder
    corpus = import_files(source, reader, **{"codebook": "3rs-2015", "roles": ROLES, **given})
    corpus.check()
    return corpus


def marks(corpus: Corpus) -> list[tuple]:
    """(session, unit_id, coder, code, value), with an empty code for a unit read and unmarked."""
    table = corpus.codings.fillna({"code": "", "value": 0})
    return list(table[["session_id", "unit_id", "coder_id", "code", "value"]].itertuples(index=False, name=None))


def reasons(corpus: Corpus) -> list[tuple]:
    return [(row.row, row.reason) for row in corpus.rejects.itertuples()]


def lab(**change) -> Reader:
    base = {"name": "lab", "layout": "wide", "columns": {"speaker": "who", "text": "said"}}
    return Reader.from_dict({**base, **change})
