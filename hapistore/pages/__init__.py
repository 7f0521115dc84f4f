"""Pages about what a store holds, single HTML files that need nothing else and run nothing; and a plan as a picture."""

from .contact_sheet import ContactSheetOptions, ContactSheetResult, write_contact_sheet
from .holdings import Holding
from .plan_plot import draw_plan
from .report import ReportOptions, ReportResult, write_report

__all__ = [
    "ContactSheetOptions",
    "ContactSheetResult",
    "Holding",
    "ReportOptions",
    "ReportResult",
    "draw_plan",
    "write_contact_sheet",
    "write_report",
]
