"""Pages about what a store holds: single HTML files that need nothing else, and run nothing."""

from .contact_sheet import ContactSheetOptions, ContactSheetResult, write_contact_sheet

__all__ = ["ContactSheetOptions", "ContactSheetResult", "write_contact_sheet"]
