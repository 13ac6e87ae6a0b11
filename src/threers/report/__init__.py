"""Reports as one self-contained HTML file: no script, no network, no transcript text unless asked for. No torch."""

from threers.report.agreement import agreement_report, write_report

__all__ = ["agreement_report", "write_report"]
