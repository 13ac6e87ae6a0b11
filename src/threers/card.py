"""The model card that a tagger carries as README.md. Layer 4, no torch."""

from __future__ import annotations

import math
from typing import Any

from threers.codebook import Codebook
from threers.corpus import Corpus


def model_card(name: str, manifest: dict[str, Any], codebook: Codebook, corpus: Corpus) -> str:
    """Markdown that says what the tagger was made from, what it may be used for, and what it must not be used for."""
    counts = corpus.describe()["counts"]
    kept = manifest["sessions"]
    lines = [
        "---",
        "library_name: threers",
        "tags: [psychotherapy, utterance-classification]",
        "---",
        f"# {name}",
        "",
    ]
    if manifest.get("synthetic"):
        lines += ["**Trained on synthetic sessions. It says nothing about real therapy.**", ""]
    lines += [
        f"Tags utterances with the codes of *{codebook.title}* ({codebook.name}).",
        "",
        "## Use",
        "Research on groups of sessions, with agreement measured on your own coded sessions first (`threers evaluate`, "
        "`threers agree`). Not for decisions about a patient, a therapist or a treatment.",
        "",
        "A tagger trained on confidential transcripts may remember parts of them, and lists words and word pairs that "
        "at least two groups of sessions share: keep this folder under the same protection as the transcripts.",
        "",
        _membership(manifest["membership"]),
        "",
        "## Training data",
        f"- {counts['sessions']} sessions of {counts['groups']} groups, {counts['utterances']} utterances, "
        f"{counts['coders']} coders; {kept['kept_aside']} sessions were kept aside for early stopping, temperature and "
        "thresholds",
        *_learnt_as(manifest["learnt_as"]),
        f"- roles: {', '.join(f'{role} {number}' for role, number in counts['roles'].items())}",
        "",
        *_agreement(manifest.get("agreement"), codebook),
        "## Figures on the sessions kept aside",
        "They chose the epoch, temperature and thresholds, so they are too good.",
        "",
        "| family | macro-F1 |",
        "|---|---|",
        *(_row([codebook.family(name).title, f"{figure:.3f}"]) for name, figure in manifest["kept_aside"].items()),
        "",
        *_ratings(manifest.get("ratings", {}), codebook),
        "## Errors on patients kept out",
        _calibration(manifest.get("calibration")),
        "",
        "## Reduced precision",
        _precision(manifest["precision_check"]),
        "",
        "## Cost",
        _cost(manifest),
        "",
        "## Made with",
        f"- backbone {manifest['backbone']['name']}, chunks of {manifest['backbone']['chunk_tokens']} tokens, "
        + _reading(manifest),
        *_adapted(manifest.get("adaptation")),
        f"- {manifest['hardware']['device']}, {manifest['hardware']['precision']}; seed {manifest['training']['seed']}",
        f"- corpus SHA-256 {manifest['corpus']}",
        f"- {', '.join(f'{package} {version}' for package, version in manifest['versions'].items())}",
        "",
    ]
    return "\n".join(lines)


def _agreement(found: dict[str, Any] | None, codebook: Codebook) -> list[str]:
    title = "## Agreement with coders on patients that it never saw"
    if found is None:
        return [
            title,
            "Not measured. `threers evaluate` measures it on the same corpus with the same settings; `threers train "
            "calibration=…` with its folder writes it here.",
            "",
        ]
    heads = list(found["rows"][0]) if found["rows"] else []
    errors = [
        f"{codebook.family(family).title} {after:.3f} (without temperature {before:.3f})"
        for family, (after, before) in found["calibration_error"].items()
    ]
    return [
        title,
        f"Of taggers trained as this one, cross-validated in {found['folds']} folds over {found['groups']} groups; in "
        "brackets 95 % intervals over groups. F1 and kappa are against the consensus of the coders.",
        "",
        _row(heads),
        _row(["---"] * len(heads)),
        *(_row([row.get(head, "") for head in heads]) for row in found["rows"]),
        "",
        "What its tags may be used for:",
        "",
        "| code | verdict | because of |",
        "|---|---|---|",
        *(_row([own["code"], own["verdict"], own["why"]]) for own in found["verdicts"]),
        "",
        *([f"Calibration error, mean over codes: {'; '.join(errors)}.", ""] if errors else []),
    ]


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cell.strip().replace("|", "\\|") for cell in cells) + " |"


def _cost(manifest: dict[str, Any]) -> str:
    epochs = manifest["epochs"]
    seconds = sum(epoch["seconds"] or math.nan for epoch in epochs)  # unknown where a run was cut off
    minutes = f" in {seconds / 60:.1f} minutes" if math.isfinite(seconds) else ""
    runs = f"; the mean of {len(manifest['kept_epochs'])} runs" if len(manifest["kept_epochs"]) > 1 else ""
    tokens = manifest["tokens_per_epoch"] * len(epochs)
    return (
        f"The encoder read {tokens:,} tokens in {len(epochs)} epochs{minutes}{runs}. `threers score` says how "
        "many tokens it reads per second on your machine."
    )


def _reading(manifest: dict[str, Any]) -> str:
    backbone = manifest["backbone"]
    seen = "look-ahead on" if manifest["lookahead"] else "look-ahead off: it reads the past only"
    twice = ", each chunk read twice" if backbone["read_twice"] else ""
    rank = f"; trained by adapters of rank {backbone['lora_rank']}" if backbone["lora_rank"] else ""
    return seen + twice + rank


def _learnt_as(found: dict[str, Any]) -> list[str]:
    """Said only where codes on segments were learnt from."""
    if "segments" not in found:
        return []
    utterances = f"{found['utterances']} utterances" if found["utterances"] else "no utterance"
    return [
        f"- coders coded {utterances} and {found['segments']} segments of {found['minutes']:g} minutes (in "
        f"{found['tallied']} they counted the codes): which utterance of a segment bears a code, it had to find out"
    ]


def _adapted(found: dict[str, Any] | None) -> list[str]:
    """Said only where the backbone has read transcripts before."""
    if found is None:
        return []
    known = f"; it had read {found['known_aside']} of the sessions kept aside, too" if found["known_aside"] else ""
    return [
        f"- the backbone was adapted to {found['sessions']} sessions, coded or not (loss per masked token on others "
        f"{found['loss'][0]:.2f} before, {found['loss'][-1]:.2f} afterwards){known}"
    ]


def _ratings(found: dict[str, Any], codebook: Codebook) -> list[str]:
    """Said only where coders rated sessions or segments."""
    if not found:
        return []
    lines = [
        "## Ratings",
        "Loss: minus the mean log probability of what coders gave, on groups kept out (cross-validated; it chose the "
        "strength of the penalty), and that of the frequencies of the ratings alone.",
        "",
        "| rating | rated | groups | loss | of the frequencies | |",
        "|---|---|---|---|---|---|",
    ]
    for code, own in found.items():
        units = f"{own['units']} {codebook.rating_codes()[code]}s"
        loss = [f"{own[name]:.3f}" if name in own else "" for name in ("loss", "loss_of_frequencies")]
        state = (
            "not learnt" if "loss" not in own else "" if own["strength"] else "the same for all: nothing more was found"
        )
        lines.append(_row([codebook.codes[code].title, units, str(own["groups"]), *loss, state]))
    return [*lines, ""]


def _membership(found: dict[str, Any]) -> str:
    told = " and ".join(
        f"{words} (AUROC {figure['auroc']:.2f}{_interval(figure)})"
        if figure["auroc"] is not None
        else f"{words}: unknown"
        for words, figure in (("from one utterance", found["utterance"]), ("from a whole patient", found["group"]))
    )
    return (
        "Who has this folder and a coded transcript can guess from the tagger's errors there whether it learnt from "
        f"that patient: {told}; 0.5 is chance, 1 is never wrong. Measured on {found['groups_learnt']} groups that it "
        f"learnt from and {found['groups_kept_aside']} kept aside (attack by loss, Yeom et al. 2018; other attacks may "
        "do better)."
    )


def _interval(figure: dict[str, Any]) -> str:
    return "" if figure["low"] is None else f", 95 % interval {figure['low']:.2f} to {figure['high']:.2f}"


def _calibration(found: dict[str, int] | None) -> str:
    if found is None:
        return "Unknown to this tagger, so it cannot abstain with a promise (`threers train calibration=…`)."
    return (
        f"It carries the out-of-fold scores of {found['utterances']} coded utterances of {found['groups']} groups, and "
        "the coders' consensus there, as numbers without names or texts. With them `threers score abstain=…` promises "
        "an error, and counts are corrected in `prevalence.csv`."
    )


def _precision(check: dict[str, Any]) -> str:
    change = max(map(abs, check["kappa_change"].values()), default=0.0)
    use = "Scoring uses bfloat16 where the machine is faster with it." if check["kept"] else "Scoring stays in float32."
    return (
        f"Against float32, bfloat16 changes the tags of {check['flipped']:.1%} of the {check['utterances']} utterances "
        f"kept aside, and kappa with the coders by at most {change:.3f}. {use}"
    )
