"""The error for wrong options and arguments, raised before any request is sent."""

from __future__ import annotations


class UsageError(Exception):
    """An option or argument of the command is wrong; the message says why."""
