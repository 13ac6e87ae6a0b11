"""A paragraph on method, ready for a paper, with the works that it cites and no others."""

from __future__ import annotations

import re
from collections.abc import Iterator

from threers.agreement.frame import CONSENSUS_OF_OTHERS
from threers.agreement.replacement import EPSILON
from threers.doctor import versions
from threers.report.blocks import Block, Heading, Items, Section, Text
from threers.report.comparison import Comparison, listed, short
from threers.report.opening import meanings

#: A range of pages, set with an en dash.
PAGES = re.compile(r"(\d)-(\d)")
#: Kinds of interval, see `threers.agreement.bootstrap`.
INTERVALS = {
    "expanded": "percentile intervals, expanded for few groups (Hesterberg, 2015),",
    "percentile": "percentile intervals",
    "bca": "bias-corrected and accelerated intervals",
}
#: What may be cited, by how the paragraph cites it.
REFERENCES = {
    "Benjamini & Yekutieli, 2001": (
        "Benjamini, Y., & Yekutieli, D. (2001). The control of the false discovery rate in multiple testing under "
        "dependency. Annals of Statistics, 29(4), 1165-1188."
    ),
    "Bland & Altman, 1986": (
        "Bland, J. M., & Altman, D. G. (1986). Statistical methods for assessing agreement between two methods of "
        "clinical measurement. The Lancet, 327(8476), 307-310."
    ),
    "Brier, 1950": (
        "Brier, G. W. (1950). Verification of forecasts expressed in terms of probability. Monthly Weather "
        "Review, 78(1), 1-3."
    ),
    "Byrt et al., 1993": (
        "Byrt, T., Bishop, J., & Carlin, J. B. (1993). Bias, prevalence and kappa. Journal of Clinical "
        "Epidemiology, 46(5), 423-429."
    ),
    "Calderon et al., 2025": (
        "Calderon, N., Reichart, R., & Dror, R. (2025). The alternative annotator test for LLM-as-a-judge: How to "
        "statistically justify replacing human annotators with LLMs. Proceedings of the 63rd Annual Meeting of "
        "the Association for Computational Linguistics, 16051-16081."
    ),
    "Cohen, 1960": (
        "Cohen, J. (1960). A coefficient of agreement for nominal scales. Educational and Psychological "
        "Measurement, 20(1), 37-46."
    ),
    "Cohen, 1968": (
        "Cohen, J. (1968). Weighted kappa: Nominal scale agreement with provision for scaled disagreement or "
        "partial credit. Psychological Bulletin, 70(4), 213-220."
    ),
    "Davis & Goadrich, 2006": (
        "Davis, J., & Goadrich, M. (2006). The relationship between precision-recall and ROC curves. Proceedings "
        "of the 23rd International Conference on Machine Learning, 233-240."
    ),
    "Efron & Tibshirani, 1993": (
        "Efron, B., & Tibshirani, R. J. (1993). An introduction to the bootstrap. Chapman & Hall."
    ),
    "Hanley & McNeil, 1982": (
        "Hanley, J. A., & McNeil, B. J. (1982). The meaning and use of the area under a receiver operating "
        "characteristic (ROC) curve. Radiology, 143(1), 29-36."
    ),
    "Hesterberg, 2015": (
        "Hesterberg, T. C. (2015). What teachers should know about the bootstrap: Resampling in the undergraduate "
        "statistics curriculum. The American Statistician, 69(4), 371-386."
    ),
    "Krippendorff, 2011": (
        "Krippendorff, K. (2011). Computing Krippendorff's alpha-reliability. University of Pennsylvania, "
        "Annenberg School for Communication."
    ),
    "McGraw & Wong, 1996": (
        "McGraw, K. O., & Wong, S. P. (1996). Forming inferences about some intraclass correlation coefficients. "
        "Psychological Methods, 1(1), 30-46."
    ),
    "Naeini et al., 2015": (
        "Naeini, M. P., Cooper, G. F., & Hauskrecht, M. (2015). Obtaining well calibrated probabilities using "
        "Bayesian binning. Proceedings of the AAAI Conference on Artificial Intelligence, 29(1), 2901-2907."
    ),
}


def method(c: Comparison) -> Section:
    """The paragraph, the references it cites, and the versions."""
    paragraph = " ".join(_sentences(c))
    cited = [PAGES.sub("\\1\N{EN DASH}\\2", work) for key, work in REFERENCES.items() if key in paragraph]
    source = [c.codebook.source] if c.codebook.source else []
    blocks: list[Block] = [Text("Ready to be put into a paper; adapt it to what you report."), Text(paragraph)]
    blocks += [Heading("References"), Items([*cited, *source])]
    used = ", ".join(f"{name} {version}" for name, version in versions().items())
    blocks += [Heading("Versions"), Text(used, "small")]
    return Section("method", "Method", blocks)


def _sentences(c: Comparison) -> Iterator[str]:
    attrs = c.table.attrs
    units = "utterances" if c.by_utterance else "segments" if c.by_segment else ""
    judged = f"{units.capitalize()} were coded" if units else "Sessions were rated"
    yield f"{judged} with {c.codebook.title} by {_coders(c)}."
    yield from _tagging(c)
    if units:
        yield (
            f"Agreement of two raters on a code was measured by Cohen's kappa (Cohen, 1960) and F1, on the {units} "
            f"that both judged; {units} read and left unmarked counted."
        )
    yield from _parents(c)
    if c.shares():
        machines = "; for a model with the coders, that over the coders" if c.models else ""
        yield (
            f"For coders with each other the mean over their pairs is given{machines}. Agreement among all coders was "
            "measured by Krippendorff's alpha, which allows for missing judgements (Krippendorff, 2011)."
        )
    kinds = sorted({frame.family.kind for frame in c.frames})
    rules = "; ".join(f"{_kind(kind)}, {attrs['consensus'][kind]}" for kind in kinds)
    if c.models:
        yield f"The consensus of the coders was formed by a rule: {rules}.{_one_of_two(c)}"
        if c.shares():
            yield (
                "Model and coders were also compared on the utterances that two or more coders had judged, so that "
                "agreement of the model and among coders rest on the same utterances."
            )
    if c.models or c.shares():
        yield "Bias is the difference of the shares of utterances marked (Byrt et al., 1993)."
    yield from _further(c)
    yield from _replacement(c)
    yield (
        f"Intervals are 95 % {INTERVALS[c.method]} from {attrs['resamples']:,} bootstrap "
        f"resamples of {attrs['groups']} {c.group}s (Efron & Tibshirani, 1993; seed {attrs['seed']}), because "
        f"utterances of one {c.group} are not independent."
    )
    if c.models:
        rules = "; ".join(f"“{verdict}”, {rule.split('. ')[0].rstrip('.')}" for verdict, rule in meanings(c)[:-1])
        yield (
            f"Codes were judged by rules fixed in the settings, the first that held: {rules}; else "
            f"“{meanings(c)[-1][0]}”."
        )


def _further(c: Comparison) -> Iterator[str]:
    """What was measured beside agreement on tags, where it was."""
    statistics = set(c.table["statistic"])
    if statistics & {"auroc", "auprc"}:
        yield (
            "Probabilities were assessed by the area under the ROC curve (Hanley & McNeil, 1982), the area under "
            "the precision-recall curve without interpolation (Davis & Goadrich, 2006), the Brier score (Brier, "
            "1950) and the expected calibration error in ten bins of equal width (Naeini et al., 2015)."
        )
    if "count_icc_a1" in statistics:
        yield (
            "Agreement on the number of marks per session was measured by the intraclass correlation for absolute "
            "agreement of single raters, ICC(A,1) (McGraw & Wong, 1996)"
            + (", with limits of agreement (Bland & Altman, 1986)." if c.models else ".")
        )
    if (c.table["level"] == "segment").any():
        present = "; a code was present in a segment if any utterance starting in it had it" if c.by_utterance else ""
        yield f"Segments were of {c.table.attrs['segment_minutes']:g} minutes{present}."
    if "rating_kappa_quadratic" in statistics:
        yield (
            "Ratings of sessions were compared by ICC(A,1), kappa with quadratic weights (Cohen, 1968) and ordinal "
            "alpha."
        )
    if any(name.startswith("drop_in") for name in statistics):
        yield "The model was put in the place of each coder in turn, and the change of alpha and ICC was recorded."


def _parents(c: Comparison) -> Iterator[str]:
    if any(not frame.leaves.all() for frame in c.frames):
        yield "A code with codes below it counted as marked wherever one of these was."


def _tagging(c: Comparison) -> Iterator[str]:
    """Where the tags of models and floors come from."""
    attrs = c.table.attrs
    if c.models:
        yield (
            f"They were tagged by {listed([short(model) for model in c.models])} (threers {versions()['threers']}), on "
            f"sessions of {c.group}s that did not enter the training of the model."
        )
    if "folds" in attrs:
        yield (
            f"For this the {c.group}s were divided into {attrs['folds']} parts; each was tagged by a model trained "
            "on the others, thresholds included, and the figures are of all parts together. The uncertainty of "
            "training is in no interval."
        )
    if c.floors:
        yield (
            "As floors, the most frequent value of each code and logistic regression on TF-IDF of words and word pairs "
            "were learnt and compared in the same way."
        )


def _one_of_two(c: Comparison) -> str:
    """What the rule comes to where two coders read."""
    read_by_two = any(frame.values is None and (frame.read_by(frame.people) == 2).any() for frame in c.frames)
    enough = float(c.table.attrs["consensus_share"]) <= 1 / 2
    return " Where two coders read, the mark of one was enough." if read_by_two and enough else ""


def _coders(c: Comparison) -> str:
    n = len(c.people)
    return f"{n} coders" if n > 1 else "one coder"


def _kind(kind: str) -> str:
    return "for codes that exclude each other" if kind == "exclusive" else "for codes that can hold together"


def _replacement(c: Comparison) -> Iterator[str]:
    """The alternative annotator test, where a model met utterances of three coders; of segments it is not made."""
    met = (c.table["level"] == "utterance") & (c.table["rater_b"] == CONSENSUS_OF_OTHERS)
    if (met & c.table["rater_a"].isin(c.models)).any():
        yield (
            "Where three coders had judged the same utterances, the alternative annotator test (Calderon et al., "
            f"2025; epsilon {EPSILON['expert']:g}) was made as a one-sided t-test over means of {c.group}s in place of "
            "units, at a false discovery rate of 5 % over the coders of each code (Benjamini & Yekutieli, 2001)."
        )
