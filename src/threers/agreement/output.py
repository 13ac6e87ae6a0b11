"""The agreement table on disk, and the few figures of it that fit a screen."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from threers.agreement.bootstrap import FEWEST_GROUPS, too_few_groups
from threers.agreement.frame import CODERS, CONSENSUS, FLOOR, MODEL
from threers.agreement.samples import ALL
from threers.atomic import whole_file
from threers.codebook import Codebook
from threers.formulas import escaped

#: A code's name up to this length is a label that coders know it by (W1) and stands before its title.
LABEL_LENGTH = 4
#: What the screen shows where a figure does not exist, and where it exists but is not defined.
ABSENT, UNDEFINED = "–", "undefined"  # noqa: RUF001 an en dash, as tables have it


def write(table: pd.DataFrame, folder: str | Path, verdicts: pd.DataFrame | None = None) -> None:
    """Write `agreement.csv` and `agreement.json` into the folder, unrounded; each appears whole or not at all.

    The JSON file holds `method` (how the table was made), `verdicts` and `rows`; an undefined figure is null there,
    empty in CSV. The verdicts stand in `verdicts.csv`, too, if there are any.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    verdicts = pd.DataFrame() if verdicts is None else verdicts
    document = {"method": table.attrs, "verdicts": _records(verdicts), "rows": _records(table)}
    _replace(folder / "agreement.csv", escaped(table).to_csv(index=False, lineterminator="\n"))
    if len(verdicts):
        _replace(folder / "verdicts.csv", escaped(verdicts).to_csv(index=False, lineterminator="\n"))
    _replace(folder / "agreement.json", json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False))


def _records(table: pd.DataFrame) -> list[dict]:
    return table.astype(object).where(table.notna(), None).to_dict(orient="records")


def _replace(path: Path, text: str) -> None:
    with whole_file(path) as scratch:
        scratch.write_text(text, encoding="utf-8")


def table_for_screen(table: pd.DataFrame, codebook: Codebook | None = None) -> list[dict[str, str]]:
    """One row per family and per code, ready to print: coder-coder kappa first, then each machine.

    Columns: `code` (codes are indented under their family), `n` (the reference's marks; of a family, `of` its units),
    `coder-coder kappa`, and for each machine `NAME F1` (macro-F1 for a family) and, for models, `NAME kappa`, both
    against the consensus. Models come before floors; intervals stand in brackets. Empty when nothing was compared.

    Args:
        table: from `agree`.
        codebook: gives titles to families and codes.

    """
    main = _main_rows(table)
    against_consensus = main[main["comparison"] == "model-consensus"]
    machines = sorted(against_consensus["rater_a"].unique(), key=lambda name: (not name.startswith(MODEL), name))
    families = list(dict.fromkeys(table["family"]))
    rows = []
    for (family, code), part in main.groupby(["family", "code"], sort=False, dropna=False):
        whole = pd.isna(code)
        kappa = "macro_kappa" if "macro_kappa" in set(part["statistic"]) else "kappa"
        title = title_of_family(family, codebook) if whole else f"  {title_of_code(code, codebook)}"
        row = {"code": title, "n": _size(part, whole)}
        if (main["comparison"] == "coder-coder").any():
            row["coder-coder kappa"] = _figure(part, CODERS, kappa)
        for machine in machines:
            row[f"{machine} F1"] = _figure(part, machine, "macro_f1" if whole else "f1")
            if machine.startswith(MODEL):
                row[f"{machine} kappa"] = _figure(part, machine, kappa)
        rows.append((families.index(family), not whole, row))
    return [row for *_, row in sorted(rows, key=lambda item: item[:2])]


def notes(table: pd.DataFrame) -> list[str]:
    """Say in plain sentences what the figures cannot carry: few groups, unused codes, undefined statistics."""
    main, found = _main_rows(table), []
    groups = main.groupby("comparison", sort=False)["n_groups"].max()
    for number in sorted(set(groups[groups.map(too_few_groups)])):
        found.append(
            f"{', '.join(groups[groups == number].index)}: the units come from {number} groups; below {FEWEST_GROUPS} "
            "the intervals are too narrow, take them as a lower bound of the uncertainty."
        )
    by_code = main[main["code"].notna()]
    unused = by_code.groupby("code", sort=False)["n_positive"].max() == 0
    if unused.any():
        found.append(f"Never used by a person, so that nothing can be said of it: {', '.join(unused[unused].index)}.")
    # A floor may well be constant: that is what it is for.
    judged = by_code[~by_code["rater_a"].str.startswith(FLOOR)]
    undefined = judged[judged["estimate"].isna() & ~judged["code"].isin(unused[unused].index)]
    for (a, b), part in undefined.groupby(["rater_a", "rater_b"], sort=False):
        codes, statistics = ", ".join(part["code"].unique()), ", ".join(part["statistic"].unique())
        found.append(f"{codes}, {a} and {b}: {statistics} undefined, because one of them used one value only.")
    return found


def ratings_for_screen(table: pd.DataFrame, codebook: Codebook | None = None) -> list[dict[str, str]]:
    """One row per rating of a session or segment, ready to print; empty where nothing was rated.

    Columns: `rating`, `n` (the sessions or segments), and ICC(A,1) with its interval of `coders` with each other and of
    each model with their mean.
    """
    rows = table[(table["statistic"] == "rating_icc_a1") & table["rater_b"].isin([CODERS, CONSENSUS])]
    rows = rows[(rows["rater_b"] == CONSENSUS) | (rows["rater_a"] == CODERS)]
    found: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows.itertuples():
        where = " (segments)" if row.level == "segment" else ""
        named = {"rating": f"{title_of_code(row.code, codebook)}{where}", "n": f"{row.n_units}"}
        shown = found.setdefault((row.level, row.code), named)
        shown[f"{row.rater_a} ICC(A,1)"] = in_words(row.estimate, row.low, row.high)
    columns = dict.fromkeys(name for row in found.values() for name in row)
    return [{name: row.get(name, "") for name in columns} for row in found.values()]


def _main_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of all coders together and of each machine against the consensus; on segments where utterances have none."""
    table = table[~table["statistic"].str.startswith("rating_")]
    table = table[table["level"] == ("utterance" if "utterance" in set(table["level"]) else "segment")]
    against_consensus = (table["comparison"] == "model-consensus") & (table["rater_b"] == CONSENSUS)
    return table[against_consensus | (table["rater_a"] == CODERS) & (table["rater_b"] == CODERS)]


def title_of_family(family: str, codebook: Codebook | None) -> str:
    """What a family is called, or all of them."""
    if family == ALL:
        return "All codes together"
    return codebook.family(family).title if codebook else family


def title_of_code(code: str, codebook: Codebook | None) -> str:
    """The title of a code, behind its name where coders know it by that."""
    title = codebook.codes[code].title if codebook else code
    return f"{code}: {title}" if len(code) <= LABEL_LENGTH and code != title else title


def _size(part: pd.DataFrame, whole: bool) -> str:
    against_consensus = part[part["comparison"] == "model-consensus"]
    chosen = against_consensus if len(against_consensus) else part
    return f"of {chosen['n_units'].iloc[0]}" if whole else str(chosen["n_positive"].iloc[0])


def _figure(part: pd.DataFrame, rater: str, statistic: str) -> str:
    found = part[(part["rater_a"] == rater) & (part["statistic"] == statistic)]
    if found.empty:
        return ABSENT
    return in_words(*found.iloc[0][["estimate", "low", "high"]])


def in_words(estimate: float, low: float, high: float) -> str:
    """An estimate with its interval in brackets, where it has one."""
    if pd.isna(estimate):
        return UNDEFINED
    return f"{estimate:.2f}" if pd.isna(low) else f"{estimate:.2f} [{low:.2f}, {high:.2f}]"
