"""Pages about what a store holds, single HTML files that need nothing else and run nothing; and a plan as a picture."""

from .contact_sheet import ContactSheetOptions, ContactSheetResult, write_contact_sheet
from .plan_plot import draw_plan

__all__ = ["ContactSheetOptions", "ContactSheetResult", "draw_plan", "write_contact_sheet"]
