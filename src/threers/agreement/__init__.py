"""Agreement of coders and models: coefficients, intervals over groups, and the table that holds them. No torch."""

from threers.agreement.output import table_for_screen, write
from threers.agreement.table import COLUMNS, Interval, agree, macro_f1_difference

__all__ = ["COLUMNS", "Interval", "agree", "macro_f1_difference", "table_for_screen", "write"]
