"""AsyncCamera: the members of ICameraV4 and the stories that are made of them."""

from __future__ import annotations

from ._cooling import Cooling
from ._framing import Framing
from ._guiding import Guiding
from ._levels import Leveled
from ._sequence import Sequencing
from ._watch import Watching


class AsyncCamera(Sequencing, Watching, Framing, Leveled, Cooling, Guiding):
    """A camera of an Alpaca server.

    `AsyncCamera("192.168.1.20:11111", 0)` owns its connections and is closed by `async with`;
    cameras of `AlpacaClient.camera` share the client's. Every member of ASCOM's ICameraV4 is a
    coroutine, `get_x()` or `set_x(x)`; `expose` takes a picture.
    """
