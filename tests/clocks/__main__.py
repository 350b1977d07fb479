"""`python -m tests.clocks` writes docs/explanation/clocks.md."""

from __future__ import annotations

from .page import PAGE, page

PAGE.write_text(page(), encoding="utf-8")
