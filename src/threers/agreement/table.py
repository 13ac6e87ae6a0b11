"""The agreement table: every rater against every other, per code and per family, with intervals over groups."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from threers.agreement import bootstrap
from threers.agreement.bias import bias_rows
from threers.agreement.comparisons import compare_all
from threers.agreement.dropin import drop_in_rows
from threers.agreement.frame import CONSENSUS_SHARE, Frame, consensus_rules
from threers.agreement.judgements import build_frames
from threers.agreement.ratings import Interval
from threers.agreement.samples import ALL, Label, labels_of, of_pair
from threers.agreement.segments import segment_frames
from threers.agreement.sessions import count_rows, rated_sessions, rating_rows, sessions_of
from threers.agreement.timing import nearby_rows
from threers.codebook import Codebook
from threers.errors import InputError

log = logging.getLogger(__name__)


def agree(
    codings: pd.DataFrame,
    utterances: pd.DataFrame,
    groups: pd.Series,
    codebook: Codebook,
    *,
    probabilities: Mapping[str, pd.DataFrame] | None = None,
    resamples: int = 2000,
    seed: int = 1,
    interval: str = bootstrap.METHODS[0],
    segment_minutes: float = 5.0,
    consensus_share: float = CONSENSUS_SHARE,
) -> pd.DataFrame:
    """Compare coders with coders, and models and floors with coders and with their consensus.

    Raters called `model:NAME` and `floor:NAME` are machines, all others people. A judgement exists where a rater has
    any row for the unit and the unit's role may speak the code. In every pair, rater_b is the reference of precision
    and recall. Only sessions that a person coded are compared, and ratings on those that a person rated.

    Levels: `utterance`; `segment` (does it hold the code at all? see `segment_frames`), with the same statistics;
    `session` (see `count_rows` and `rating_rows`). Segments need times.

    Rows:
        * one code: the statistics `OF_CODE` of marked or not (kappa, alpha, precision, recall, f1 and more). Marking a
          child marks its parent.
        * an exclusive family: the statistics `OF_VALUE` of the nominal value (kappa, alpha, accuracy and more), and
          macro_f1.
        * a multilabel family, and `all` (every family's codes together): macro_f1, macro_kappa, macro_alpha. Agreement
          on "any code of the family" stands under the parent code, where there is one.
        * macro figures are means over the codes without children that the reference used at least once: a code that it
          never used has no F1 to speak of. Compare macro figures on the same units only.
        * rater_b `coders`: the mean over people, each on all units shared with them. Between coders it is the mean over
          pairs, each coder being the reference in turn; alpha, ac1, fleiss_kappa and conger_kappa are of all coders at
          once. A pair whose statistic is undefined is left out of the mean.
        * rater_b `coders on shared units`: the same, only on units that two or more people judged: the figure to hold
          against coder-coder, which exists on those units only. Statistics `…_minus_coders` are model-coder minus
          coder-coder there, from the same resamples: an interval below 0 says that coders agree better with each other.
        * rater_b `consensus of the others`: each coder against the consensus of all others, where at least two others
          judged the unit; rater_a `coders` is the mean over coders. A machine meets each of these consensuses on the
          same units, and its row is the mean over the coders left out: the fairest figure to hold against a person's.
        * statistics `…_within_2`: a mark is met by one at most two utterances away, see `nearby_rows`.
        * rater_b `other coders`: bias_index and rate_ratio, how much more often a coder marks a code than the others do
          on the same units, see `bias_of`.
        * statistics `drop_in_…`: a machine in a coder's place, see `drop_in_rows`.
        * rater_b `consensus`: see `consensus_rules`; with `probabilities` also auroc, auprc, brier, ece and
          ece_equal_mass, the last as the mean over a family's codes too, and before temperature where that is known.

    n_positive is the reference's marks; where coders are averaged, the units that any of them marked; null for a
    family. Undefined statistics (a constant rater) are NaN, and so are their intervals, and intervals over one group.

    Args:
        codings: session_id, unit, unit_id, coder_id, code (null: read, nothing marked), value.
        utterances: session_id, utterance_id, role; start and end (seconds) for segments and rates.
        groups: session_id -> group_id, the unit of resampling.
        codebook: the families and codes to compare.
        probabilities: machine -> session_id, utterance_id and p_CODE columns (a scores table); null: not scored.
            Columns before_CODE: the same before temperature.
        resamples: bootstrap resamples of the groups; all statistics share them.
        seed: of the resamples.
        interval: expanded (percentile, widened for few groups), percentile, or bca (bias-corrected and accelerated).
        segment_minutes: length of a segment.
        consensus_share: of the coders, for a multilabel code to be in their consensus; 0: any coder, 1: all.

    Returns:
        One row per statistic with the columns `COLUMNS`, unrounded; attrs say how it was made.

    Raises:
        InputError: fewer than two raters, or codings that do not fit the utterances, the groups or the codebook.

    """
    frames = build_frames(codings, utterances, groups, codebook, consensus_share)
    _require_raters(codings["coder_id"].unique(), frames[0].groups)
    plan = bootstrap.plan(frames[0].groups, resamples, seed, interval)
    parts = list(_rows(frames, codings, utterances, codebook, probabilities or {}, plan, segment_minutes))
    rated = rated_sessions(codings, groups, codebook)
    if rated.groups:
        # Sessions may be rated that nobody coded, and the other way round.
        parts += rating_rows(codings, codebook, rated, bootstrap.plan(rated.groups, resamples, seed, interval))
    parts = [part for part in parts if len(part)]
    if not parts:
        raise InputError("agreement: no two raters judged the same unit; nothing can be compared")
    table = pd.concat(parts, ignore_index=True)
    table.attrs = {
        "resamples": resamples,
        "seed": seed,
        "interval": f"95 % {interval} bootstrap over groups",
        "groups": frames[0].groups,
        "codebook": codebook.name,
        "consensus": consensus_rules(consensus_share),
        "consensus_share": consensus_share,
        "segment_minutes": segment_minutes,
    }
    return table


def _require_raters(raters: Sequence[str], groups: int) -> None:
    """Refuse fewer than two raters; warn where there are too few groups for intervals that hold."""
    if len(raters) < 2:
        raise InputError(f"agreement: only one rater ({raters[0]}); it takes two coders, or a coder and a model")
    if bootstrap.too_few_groups(groups):
        log.warning(
            "%d groups: intervals from fewer than %d are too narrow; take them as a lower bound of the uncertainty",
            groups,
            bootstrap.FEWEST_GROUPS,
        )


def _rows(
    frames: list[Frame],
    codings: pd.DataFrame,
    utterances: pd.DataFrame,
    codebook: Codebook,
    probabilities: Mapping[str, pd.DataFrame],
    plan: bootstrap.Plan,
    segment_minutes: float,
) -> Iterator[pd.DataFrame]:
    """The rows on utterances, then those on segments, then those on sessions."""
    start, end = _times(utterances, frames[0])
    by_segment = segment_frames(frames, start, segment_minutes, codings, codebook)
    sessions = sessions_of(frames[0], start, end)
    yield from compare_all(frames, plan, probabilities)
    yield from nearby_rows(frames, plan)
    yield from drop_in_rows(frames, sessions, plan)
    yield from bias_rows(frames, plan)
    for part in (*compare_all(by_segment, plan, {}), *bias_rows(by_segment, plan)):
        yield part.assign(level="segment")
    yield from count_rows(frames, by_segment, sessions, plan)


def _times(utterances: pd.DataFrame, frame: Frame) -> np.ndarray:
    """Start and end of each unit of the frame in seconds, (2, n_units), NaN if unknown."""
    wanted = utterances.reindex(columns=["session_id", "utterance_id", "start", "end"])
    return wanted.set_index(["session_id", "utterance_id"]).reindex(frame.units).to_numpy(dtype=float).T


def macro_f1_difference(
    codings: pd.DataFrame,
    utterances: pd.DataFrame,
    groups: pd.Series,
    codebook: Codebook,
    rater_a: str,
    rater_b: str,
    family: str = ALL,
    resamples: int = 2000,
    seed: int = 1,
) -> Interval:
    """Macro-F1 of rater_a minus that of rater_b, both against the consensus, on the units that both judged.

    The interval is paired: both macro-F1 are taken from the same resamples of the groups. Tables and arguments as in
    `agree`; `family` is a family that utterances are tagged with, or `all`.

    Raises:
        InputError: a rater or family that is not there, or what `agree` raises.

    """
    frames = build_frames(codings, utterances, groups, codebook)
    raters = frames[0].raters
    for name in (rater_a, rater_b):
        if name not in raters[:-1]:
            raise InputError(f"agreement: no rater {name!r}; the codings have {', '.join(raters[:-1])}")
    wanted = Label(family, None, "macro_f1")
    if wanted not in labels_of(frames):
        known = ", ".join(frame.family.name for frame in frames)
        raise InputError(f"agreement: no family {family!r} of utterance tags; expected {ALL} or {known}")
    a, b, reference = raters.index(rater_a), raters.index(rater_b), frames[0].consensus
    frames = [frame.where(np.any((frame.marks[:, [a, b, reference]] >= 0).all(axis=1), axis=0)) for frame in frames]
    plan = bootstrap.plan(frames[0].groups, resamples, seed)
    difference = of_pair(frames, a, reference, plan.weights) - of_pair(frames, b, reference, plan.weights)
    samples = difference[[labels_of(frames).index(wanted)]]
    used = [np.any(frame.marks[:, [a, b, reference]] >= 0, axis=(0, 1)) for frame in frames]
    groups = len(np.unique(frames[0].group[np.any(used, axis=0)]))
    low, high = plan.interval(samples, np.array([groups]))
    return Interval(float(samples[0, 0]), float(low[0]), float(high[0]))
