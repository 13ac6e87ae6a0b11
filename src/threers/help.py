"""What `threers --help` and `threers VERB --help` say. Layer 5; loads nothing that takes time."""

from __future__ import annotations

import re
from importlib import resources

from threers.verbs import VERBS


def overview() -> str:
    """The verbs in plain words."""
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {verb:{width}}  {what}" for verb, what in VERBS.items())
    return (
        "threers finds alliance ruptures and their repair in psychotherapy transcripts.\n\n"
        f"threers VERB key=value …\n\n{verbs}\n\n"
        "threers VERB --help lists the keys of a verb. Nothing leaves this machine."
    )


def keys(verb: str) -> str:
    """The verb's YAML file is its help: keys, defaults and a comment each; then the choices of its groups."""
    from threers.shipped import shipped_names

    configs = resources.files("threers.configs")
    text = (configs / f"{verb}.yaml").read_text(encoding="utf-8")
    body, groups = [], []
    for line in text.splitlines():
        if found := re.match(r"  - (?!hydra)(\w+): (\w+)$", line):
            groups.append(found.groups())
        elif not re.match(r"defaults:|  - (_self_|hydra)", line):
            body.append(line)
    for group, chosen in groups:
        names = shipped_names(group)
        body.append(f"\n{group}={chosen}    choices: {', '.join(names)}; keys, as in {group}.KEY=value:")
        chosen_text = (configs / group / f"{chosen}.yaml").read_text(encoding="utf-8")
        body += [f"  {line}" for line in chosen_text.splitlines() if not line.startswith("#")]
    body.append("\nQuote twice what has spaces, = or special letters: 'source=\"my files/s=1.csv\"'")
    return "\n".join(body)
