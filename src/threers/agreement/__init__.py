"""Agreement of coders and models: coefficients, intervals over groups, and the table that holds them. No torch."""

from threers.agreement.comparisons import COLUMNS
from threers.agreement.output import notes, table_for_screen, write
from threers.agreement.table import Interval, agree, macro_f1_difference

__all__ = ["COLUMNS", "Interval", "agree", "macro_f1_difference", "notes", "table_for_screen", "write"]
