"""Reports as self-contained HTML files: no network, no transcript text unless asked for. No torch."""

from threers.report.agreement import agreement_report
from threers.report.batch import write_pages
from threers.report.html import write_report
from threers.report.scored import Batch

__all__ = ["Batch", "agreement_report", "write_pages", "write_report"]
