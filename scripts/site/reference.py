"""The reference, made from the code: keys of the verbs, columns of the tables, the Python interface."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from column_meanings import CORPUS, OTHERS

from threers import settings
from threers.codebook import Codebook
from threers.corpus import TABLES
from threers.shipped import shipped_names
from threers.summary import columns
from threers.verbs import VERBS

SOURCE = Path(settings.__file__).parent
CONFIGS = resources.files("threers.configs")
TYPES = {"str": "text", "int": "whole number", "float": "number", "bool": "true or false"}
#: Groups of keys, each a folder of shipped choices.
GROUPS = {"backbone": "Backbone", "training": "Training", "engine": "Engine"}
#: Lists, mappings, and what may be either.
LONG_TYPES = {"dict": "mapping", "tuple": "list"}
#: Characters of arguments that stand on one line.
LONGEST = 70
#: What is public: module, class, and the methods that a notebook needs.
PUBLIC = {
    "Corpus": ("corpus.py", ("load", "save", "select", "check", "describe", "coders", "hash")),
    "Codebook": ("codebook.py", ("load", "from_dict", "save", "find", "legal", "tag_codes", "ancestors", "hash")),
    "Tagger": ("tagger.py", ("load", "save", "keeps_tags", "reading", "tags")),
}
AGREEMENT = {"agree": "table", "macro_f1_difference": "table", "verdicts": "verdicts", "notes": "output"}


class Key(NamedTuple):
    """A key of a verb or a group."""

    name: str
    type: str
    default: str
    meaning: str


def keys() -> str:
    """Markdown: a table of keys for each verb, then for each group of keys, with its choices."""
    parts = []
    for verb, what in VERBS.items():
        found = verb_keys(verb)
        parts.append(f"## threers {verb}\n\n{what[0].upper()}{what[1:]}.\n")
        parts.append(_key_table(found) if found else "Nothing to set.\n")
        if own := [group for group in _groups(verb) if group in GROUPS]:
            links = ", ".join(f"[{group}](#{group})" for group in own)
            parts.append(f"And the keys of {links}.\n")
    for group in GROUPS:
        names = ", ".join(f"`{name}`" for name in shipped_names(group))
        parts.append(f"## {group}\n\n`{group}=NAME` chooses one of {names}; `{group}.KEY=value` sets a single key.\n")
        parts.append(_key_table(group_keys(group)))
    return "\n".join(parts)


def verb_keys(verb: str) -> list[Key]:
    """The keys of a verb, those of its groups left out; a key within a key has a dot in its name."""
    text = (CONFIGS / f"{verb}.yaml").read_text(encoding="utf-8")
    return _keys(f"{verb.capitalize()}Run", text, lambda name: name not in GROUPS)


def group_keys(group: str) -> list[Key]:
    """The keys of a group, with the values of the choice that is taken unless told otherwise."""
    first = {"backbone": "minilm", "training": "default", "engine": "local"}[group]
    text = (CONFIGS / group / f"{first}.yaml").read_text(encoding="utf-8")
    return _keys(GROUPS[group], text, lambda _: True, f"{group}.")


def _keys(cls: str, text: str, wanted: Any, prefix: str = "") -> list[Key]:
    values, comments = yaml.safe_load(text), _comments(text)
    found = []
    for name, (annotation, default, said) in _fields(cls).items():
        if not wanted(name):
            continue
        if isinstance(values.get(name), dict) and annotation.endswith("Rules"):
            inner = _fields(annotation)
            for key, value in values[name].items():
                meaning = comments.get(key) or inner[key][2]
                found.append(Key(f"{name}.{key}", _type(inner[key][0]), _shown(value), _sentence(meaning)))
            continue
        value = values.get(name, default)
        found.append(Key(prefix + name, _type(annotation), _shown(value), _sentence(comments.get(name) or said)))
    return found


def _groups(verb: str) -> list[str]:
    chosen = yaml.safe_load((CONFIGS / f"{verb}.yaml").read_text(encoding="utf-8")).get("defaults", [])
    return [key for one in chosen if isinstance(one, dict) for key in one]


def _comments(text: str) -> dict[str, str]:
    """Key -> the comment behind it, as `threers VERB --help` shows it."""
    return {key: said for key, said in re.findall(r"^ *(\w+):[^#\n]*#\s*(.+)$", text, re.M)}


def _fields(cls: str) -> dict[str, tuple[str, Any, str]]:
    """Field of a settings class -> annotation, default, and the docstring after it."""
    trees = [ast.parse((SOURCE / name).read_text(encoding="utf-8")) for name in ("settings.py", "jobs.py")]
    nodes = [node for tree in trees for node in tree.body]
    body = next(node.body for node in nodes if isinstance(node, ast.ClassDef) and node.name == cls)
    found = {}
    for node, after in zip(body, [*body[1:], ast.Pass()], strict=True):
        if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)):
            continue
        said = after.value if isinstance(after, ast.Expr) else None
        meaning = said.value if isinstance(said, ast.Constant) else ""
        default = ast.literal_eval(node.value) if isinstance(node.value, ast.Constant | ast.Tuple) else ""
        found[node.target.id] = (ast.unparse(node.annotation), default, " ".join(str(meaning).split()))
    return found


def _type(annotation: str) -> str:
    names = [part.partition("[")[0].strip() for part in annotation.split(" | ")]
    return " or ".join((TYPES | LONG_TYPES).get(name, name) for name in names)


def _shown(value: Any) -> str:
    if value in ("", None):
        return ""
    written = yaml.safe_dump(value, default_flow_style=True, width=1000).strip()
    return f"`{written.removesuffix('...').strip()}`"


def _sentence(text: str) -> str:
    return f"{text.strip().rstrip('.')}." if text else ""


def _key_table(found: Sequence[Key]) -> str:
    return _table(["key", "type", "default", "meaning"], [(f"`{k.name}`", k.type, k.default, k.meaning) for k in found])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines) + "\n"


def tables() -> str:
    """Markdown: the columns of every table that is written."""
    parts = [
        "## A corpus\n\nA folder with three tables in Parquet, `codebook.yaml`, `manifest.json` and `rejects.csv`.\n"
    ]
    for name, types in TABLES.items():
        rows = [(f"`{column}`", kind, CORPUS[name][column]) for column, kind in types.items()]
        parts.append(f"### {name}.parquet\n\n{_table(['column', 'type', 'meaning'], rows)}")
    parts.append("`sessions.parquet` has any further columns that the reader names, such as outcomes.\n")
    parts.append(
        "## Summaries of scores\n\nIn every scores folder `columns.csv` says the same for its own codebook. `CODE` "
        "stands for each code; ruptures are those of the 3RS.\n"
    )
    for name, rows in _summaries().items():
        parts.append(f"### {name}.parquet\n\n{_table(['column', 'meaning', 'unit'], rows)}")
    parts.append("## Other tables\n")
    for name, meanings in OTHERS.items():
        table = _table(["column", "meaning"], [(f"`{column}`", meaning) for column, meaning in meanings.items()])
        parts.append(f"### {name}\n\n{table}")
    return "\n".join(parts)


def _summaries() -> dict[str, list[tuple[str, str, str]]]:
    """Table -> rows of the data dictionary, one for all codes: that of the first, with CODE in its place."""
    codebook = Codebook.load("3rs-2015")
    first, *rest = codebook.tag_codes()
    named = f"{first}, {codebook.codes[first].title}"
    found: dict[str, list[tuple[str, str, str]]] = {}
    rating = next(iter(codebook.rating_codes()))
    for row in columns(codebook, abstained=True, rated=[rating]).itertuples():
        if row.column.rpartition("_")[2] in rest:
            continue
        column = re.sub(rf"_({first}|{rating})$", "_CODE", row.column)
        meaning = (
            row.meaning.replace(named, "CODE")
            .replace(f"{rating}, {codebook.codes[rating].title}", "CODE")
            .replace(f" of {first}", " of CODE")
        )
        found.setdefault(row.table, []).append((f"`{column}`", meaning, row.unit))
    return found


def python() -> str:
    """Markdown: what `from threers import …` gives, with signatures and docstrings."""
    parts = []
    for name, (module, wanted) in PUBLIC.items():
        tree = ast.parse((SOURCE / module).read_text(encoding="utf-8"))
        cls = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
        parts.append(f"## {name}\n\n{_docstring(cls)}")
        methods = {node.name: node for node in cls.body if isinstance(node, ast.FunctionDef)}
        parts += [_function(methods[one], f"{name}.") for one in wanted]
    parts.append("## agreement\n\nStatistics on tables and arrays; needs no torch.\n")
    for name, module in AGREEMENT.items():
        tree = ast.parse((SOURCE / "agreement" / f"{module}.py").read_text(encoding="utf-8"))
        node = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name)
        parts.append(_function(node, "agreement."))
    return "\n".join(parts)


def _function(node: ast.FunctionDef, prefix: str) -> str:
    kind = {ast.unparse(one) for one in node.decorator_list}
    arguments = re.sub(r"^(self|cls)(, )?", "", ast.unparse(node.args))
    if len(arguments) > LONGEST:  # a line for each, where a comma stands in no bracket
        arguments = "\n    " + re.sub(r", (?![^\[(]*[\])])", ",\n    ", arguments) + ",\n"
    call = "" if "property" in kind else f"({arguments})"
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"### {prefix}{node.name}\n\n```python\n{prefix}{node.name}{call}{returns}\n```\n\n{_docstring(node)}"


def _docstring(node: ast.ClassDef | ast.FunctionDef) -> str:
    """The docstring in Markdown: its sections become bold words, what they list becomes a list."""
    return "\n".join(_lines(ast.get_docstring(node) or "")) + "\n"


def _lines(text: str) -> Iterator[str]:
    listed = False
    for line in text.splitlines():
        if found := re.fullmatch(r"(Args|Returns|Raises|Rows):|(`\w+`):", line):
            listed = True
            yield f"\n**{found[1] or found[2]}**\n"
        elif listed and re.match(r" {4}(\* )?\S", line):
            yield "- " + re.sub(r"^(\w+):", r"`\1`:", line.strip().removeprefix("* "))
        else:
            listed = listed and (not line or line.startswith(" "))
            yield line.replace("        ", "  ") if listed else line
