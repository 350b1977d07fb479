"""AsyncCamera: the members of ICameraV4 and the stories that are made of them."""

from __future__ import annotations

from ._workflows.cooling import Cooling
from ._workflows.framing import Framing
from ._workflows.gain_offset import GainOffset
from ._workflows.guiding import Guiding
from ._workflows.sequence import Sequencing
from ._workflows.watch import Watching


class AsyncCamera(Sequencing, Watching, Framing, GainOffset, Cooling, Guiding):
    """A camera of an Alpaca server.

    `AsyncCamera("192.168.1.20:11111", 0)` owns its connections and is closed by `async with`;
    cameras of `AlpacaClient.camera` share the client's. Every member of ASCOM's ICameraV4 is a
    coroutine, `get_x()` or `set_x(x)`; `expose` takes a picture.
    """
