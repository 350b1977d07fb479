"""`python -m alpaca_async.cli` is `alpaca-async`."""

from __future__ import annotations

from . import main

main()
