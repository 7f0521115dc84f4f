"""``python -m hapistore``."""

from .cli import main

main()
