"""`python -m alpaca_async.cli` runs the command `alpaca-async`."""

from __future__ import annotations

from alpaca_async_command import main

main()
