"""The interfaces of filter wheel, focuser, cover and safety monitor as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ._interface import Interface, boolean

if TYPE_CHECKING:
    from ._cover_calibrator import SimulatedCoverCalibrator
    from ._filter_wheel import SimulatedFilterWheel
    from ._focuser import SimulatedFocuser
    from ._safety_monitor import SimulatedSafetyMonitor

FILTER_WHEEL: Final[Interface[SimulatedFilterWheel]] = Interface(
    name="FilterWheel",
    reads={
        "focusoffsets": lambda d: d.get_focus_offsets(),
        "names": lambda d: d.get_names(),
        "position": lambda d: d.get_position(),
    },
    writes={"position": lambda d, p: d.set_position(p.integer("Position"))},
    platform_7=3,
    introduced_in={},
)

FOCUSER: Final[Interface[SimulatedFocuser]] = Interface(
    name="Focuser",
    reads={
        "absolute": lambda d: d.absolute,
        "ismoving": lambda d: d.get_is_moving(),
        "maxincrement": lambda d: d.max_increment,
        "maxstep": lambda d: d.max_step,
        "position": lambda d: d.get_position(),
        "stepsize": lambda d: d.step_size,
        "tempcomp": lambda d: d.get_temp_comp(),
        "tempcompavailable": lambda d: d.has_temp_comp,
        "temperature": lambda d: d.temperature,
    },
    writes={
        "halt": lambda d, _: d.halt(),
        "move": lambda d, p: d.move(p.integer("Position")),
        "tempcomp": lambda d, p: d.set_temp_comp(boolean(d, p, "TempComp")),
    },
    platform_7=4,
    introduced_in={},
)

COVER_CALIBRATOR: Final[Interface[SimulatedCoverCalibrator]] = Interface(
    name="CoverCalibrator",
    reads={
        "brightness": lambda d: d.get_brightness(),
        "calibratorchanging": lambda d: d.get_calibrator_changing(),
        "calibratorstate": lambda d: d.get_calibrator_state(),
        "covermoving": lambda d: d.get_cover_moving(),
        "coverstate": lambda d: d.get_cover_state(),
        "maxbrightness": lambda d: d.get_max_brightness(),
    },
    writes={
        "calibratoroff": lambda d, _: d.calibrator_off(),
        "calibratoron": lambda d, p: d.calibrator_on(p.integer("Brightness")),
        "closecover": lambda d, _: d.close_cover(),
        "haltcover": lambda d, _: d.halt_cover(),
        "opencover": lambda d, _: d.open_cover(),
    },
    platform_7=2,
    introduced_in={"calibratorchanging": 2, "covermoving": 2},
)

SAFETY_MONITOR: Final[Interface[SimulatedSafetyMonitor]] = Interface(
    name="SafetyMonitor",
    reads={"issafe": lambda d: d.get_is_safe()},
    writes={},
    platform_7=3,
    introduced_in={},
)
