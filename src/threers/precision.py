"""Does a tagger say the same in bfloat16 as in float32? Measured on sessions kept aside. Layer 3."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.metrics import cohen_kappa_score

from threers.chunks import SessionTokens
from threers.codebook import Family
from threers.decisions import consensus, family_columns
from threers.hardware import Hardware
from threers.tagger import Tagger
from threers.targets import Targets

#: Largest share of utterances whose tags may differ, and largest change of a family's kappa with the coders.
FLIPPED, KAPPA_CHANGE = 0.01, 0.01


def check_precision(
    tagger: Tagger,
    sessions: Sequence[SessionTokens],
    roles: Sequence[str],
    targets: Targets,
    device: str,
) -> dict[str, Any]:
    """Score coded sessions in both precisions.

    Returns `utterances` compared, `flipped` (share of them with another tag), `kappa_change` (family -> kappa with the
    coders in bfloat16 minus that in float32, mean over codes), and `kept`: are both within FLIPPED and KAPPA_CHANGE?
    """
    tags = []
    # A lowered network cannot go back.
    copied = replace(tagger, model=copy.deepcopy(tagger.model), pretrained=copy.deepcopy(tagger.pretrained))
    for one, precision in ((tagger, "float32"), (copied, "bfloat16")):
        hardware = Hardware(device, precision, "for the check")
        one.lower(hardware)
        tags.append(one.tags(one.logits(sessions, hardware).logits, roles)[1])
    full, half = tags
    flipped = float((full != half).any(axis=1).mean())
    change = {
        family.name: _kappa(half, targets, family, columns) - _kappa(full, targets, family, columns)
        for family, columns in family_columns(tagger.codebook)
    }
    kept = flipped <= FLIPPED and all(abs(value) <= KAPPA_CHANGE for value in change.values())
    return {"utterances": len(full), "flipped": flipped, "kappa_change": change, "kept": kept}


def _kappa(tags: np.ndarray, targets: Targets, family: Family, columns: np.ndarray) -> float:
    """Cohen's kappa with the coders' consensus, mean over the codes of a family; 0 for a code that nobody uses."""
    kappas, agreed = [], consensus(family, targets.share[:, columns])
    for place, column in enumerate(columns):
        coded = targets.coders[:, column] > 0
        truth, found = agreed[coded, place], tags[coded, column]
        varied = len(np.unique(truth)) > 1 or len(np.unique(found)) > 1
        kappas.append(float(cohen_kappa_score(truth, found)) if varied else 0.0)
    return float(np.mean(kappas))
