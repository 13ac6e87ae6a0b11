"""Agreement of coders and models: coefficients, intervals over groups, and the table that holds them. No torch.

`agree` makes the table; `pairs`, `panel`, `ratings` and `probabilities` hold the coefficients it is made of, for use on
one's own arrays.
"""

from threers.agreement.output import notes, ratings_for_screen, table_for_screen, write
from threers.agreement.ratings import Interval
from threers.agreement.replacement import alternative_annotator_test
from threers.agreement.rows import COLUMNS
from threers.agreement.table import agree, macro_f1_difference
from threers.agreement.verdicts import verdicts

__all__ = [
    "COLUMNS",
    "Interval",
    "agree",
    "alternative_annotator_test",
    "macro_f1_difference",
    "notes",
    "ratings_for_screen",
    "table_for_screen",
    "verdicts",
    "write",
]
