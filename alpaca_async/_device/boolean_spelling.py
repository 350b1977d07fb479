"""How a server spells booleans: some compare the text with `true` only. No I/O."""

from __future__ import annotations

import logging

logger = logging.getLogger("alpaca_async")


class BooleanSpelling:
    """Whether a server understands `True`, or only `true`: then it takes `True` for false.

    A boolean that is read back at once tells. Connected does not: the server of a device that is
    slow to connect reports the same. So an attempt to connect sends its command once. If
    Connected is still false at its end, the next attempt uses the other spelling.
    """

    def __init__(self) -> None:
        self.lowercase: bool | None = None
        """Whether the server understands `true` but not `True`; None until that is known."""
        self._connect_lowercase = False
        self._connects = False
        self._sent: bool | None = None
        self._doubtful = False

    def text(self, value: bool) -> str:
        """Return a boolean as the server spells it, as far as that is known."""
        return str(value).lower() if self.lowercase else str(value)

    def begin_attempt(self) -> None:
        """Begin to connect; Connected has not been set yet."""
        self._sent, self._doubtful = None, False

    def text_to_connect(self) -> str:
        """Return the text that sets Connected in this attempt."""
        self._sent = self._connect_lowercase if self.lowercase is None else self.lowercase
        return "true" if self._sent else "True"

    @property
    def is_uncertain(self) -> bool:
        """Whether Connected was set in this attempt, and may have been misunderstood."""
        return self._sent is not None and self.lowercase is None and not self._connects

    def doubt(self) -> None:
        """Note that Connected has stayed false for a while."""
        self._doubtful = self.is_uncertain

    def use_other(self) -> None:
        """Use the other spelling when Connected is set next."""
        self._connect_lowercase = not self._sent

    def attempt_failed(self) -> None:
        """End an attempt; the next one uses the other spelling if this one is in doubt."""
        if self._doubtful:
            logger.info("the server may understand only the other of 'True' and 'true'")
            self.use_other()

    def attempt_succeeded(self) -> None:
        """End an attempt that has connected a device that was not connected.

        That `True` connects says nothing of other members: each may compare in its own way. Where
        `true` was needed to connect, it is the better choice for all.
        """
        if self.is_uncertain:
            self._connects = True
            self.lowercase = self._sent or None
