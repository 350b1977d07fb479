"""A web page that controls cameras, as an application and as a router. Needs the extra `web`.

Must not know how the command finds cameras, or the simulator.
"""

from .application import create_app
from .models import Pace
from .routes import create_router
from .security import AccessControl

__all__ = ["AccessControl", "Pace", "create_app", "create_router"]
