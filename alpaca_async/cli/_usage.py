"""What is wrong with a call of the command, found before anything was sent."""

from __future__ import annotations


class WrongUsage(Exception):
    """The command cannot do what it was called for; the message says why."""
