"""Short runs of the soak tests against a bad network; ALPACA_SOAK=10000 makes them long."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pytest

from alpaca_async import AlpacaClient, AlpacaError, Timeouts, TransportError
from alpaca_async.testing import FaultEvent, FaultProxy, SimulatedCamera, SimulatorServer
from benchmarks import soak
from benchmarks.loops import LOOPS
from benchmarks.night import WARM, NightReport, night
from benchmarks.night_log import Findings, NightLog

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from alpaca_async import AsyncCamera

STARTS: Final = int(os.environ.get("ALPACA_SOAK", "300"))
SEED: Final = int(os.environ.get("ALPACA_SOAK_SEED", "1"))
NIGHT_FRAMES: Final = 500 if STARTS > 300 else 20
CALLERS: Final = 8
MARK: Final = 1e-6
"""Seconds by which each exposure is longer than the previous one."""

ON_COMMANDS: Final = {
    "reset_before": 0.04,
    "close_before": 0.04,
    "reset_after": 0.04,
    "close_after": 0.04,
    "reset_in_head": 0.03,
    "reset_midway": 0.03,
    "close_midway": 0.03,
    "silence": 0.02,
    "lose_reply": 0.03,
    "stall": 0.02,
    "delay": 0.05,
    "delay_request": 0.02,
}
OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "delay": {"seconds": 0.01},
    "delay_request": {"seconds": 0.8},  # longer than the timeout of the sender
}
ON_READS: Final = {"close_before": 0.02, "reset_after": 0.02, "close_idle": 0.1}


class CountingCamera(SimulatedCamera):
    """Never exposes, but counts the commands."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.arrived: Counter[str] = Counter()
        """Count of StartExposure requests by transaction id."""
        self.executed: Counter[int] = Counter()
        """Count of StartExposure requests by their number, which is derived from the duration."""

    def record(self, verb: str, member: str, parameters: Mapping[str, str]) -> None:
        super().record(verb, member, parameters)
        if member == "startexposure":
            self.arrived[parameters["ClientTransactionID"]] += 1

    def start_exposure(self, duration: float, light: bool) -> None:
        self.executed[round(duration / MARK)] += 1


@dataclass
class Record:
    """The result of each start, by its number."""

    succeeded: set[int] = field(default_factory=set[int])
    failed: dict[int, AlpacaError] = field(default_factory=dict[int, AlpacaError])
    reads: list[TransportError] = field(default_factory=list[TransportError])
    """The errors of the reads between them."""

    def failures(self, *, unknown: bool) -> set[int]:
        return {
            number
            for number, error in self.failed.items()
            if isinstance(error, TransportError) and error.outcome_unknown == unknown
        }


async def keep_starting(camera: AsyncCamera, numbers: Iterator[int], record: Record) -> None:
    for number in numbers:
        try:
            await camera.start_exposure(number * MARK, light=True)
        except AlpacaError as error:
            record.failed[number] = error
            await asyncio.sleep(0.02)  # otherwise all others would fail while the port is closed
        else:
            record.succeeded.add(number)
        try:
            await camera.get_gain()
        except TransportError as error:
            record.reads.append(error)


async def interrupt(proxy: FaultProxy) -> None:
    while True:
        await asyncio.sleep(0.15)
        with proxy.add("refuse"):
            await asyncio.sleep(0.01)


@pytest.mark.timeout(60 + STARTS / 10)
async def test_no_start_is_executed_twice() -> None:
    simulated = CountingCamera(initially_connected=True)
    limits = Timeouts(establish=2.0, reply=0.5, long=0.5)
    record, numbers = Record(), iter(range(1, STARTS))
    async with (
        SimulatorServer([simulated]) as server,
        FaultProxy(server.address, seed=SEED) as proxy,
    ):
        proxy.add("reset_on_connect", probability=0.02)
        for fault, probability in ON_COMMANDS.items():
            proxy.add(fault, verb="PUT", probability=probability, **OPTIONS.get(fault, {}))
        for fault, probability in ON_READS.items():
            proxy.add(fault, verb="GET", probability=probability)
        async with AlpacaClient(timeouts=limits, connections_per_server=CALLERS) as client:
            interrupting = asyncio.create_task(interrupt(proxy))
            async with asyncio.TaskGroup() as group:
                for _ in range(CALLERS):
                    group.create_task(keep_starting(client.camera(proxy.address), numbers, record))
            interrupting.cancel()
        with proxy.add("refuse"):  # at least one start cannot leave
            async with AlpacaClient(timeouts=limits) as client:
                await keep_starting(client.camera(proxy.address), iter([STARTS]), record)
        while proxy.connections:  # noqa: ASYNC110 - until what is passed on late has arrived
            await asyncio.sleep(0.05)
    judge(simulated, record)


def judge(simulated: CountingCamera, record: Record) -> None:
    executed = set(simulated.executed)
    known, unknown = record.failures(unknown=False), record.failures(unknown=True)
    print(  # noqa: T201 - the result of a long run
        f"{STARTS} starts: {len(record.succeeded)} succeeded, {len(known)} did not leave,"
        f" {len(unknown)} of unknown outcome ({len(unknown & executed)} executed)"
    )
    assert max(simulated.executed.values()) == 1, "a command was executed twice"
    assert max(simulated.arrived.values()) == 1, "a command was sent twice"
    assert record.succeeded <= executed
    assert not known & executed
    assert len(record.succeeded) + len(known) + len(unknown) == STARTS, "every failure is typed"
    assert not any(error.outcome_unknown for error in record.reads)
    assert record.succeeded
    assert known
    assert unknown & executed
    assert unknown - executed


@pytest.mark.long
def test_a_short_soak_run_ends_in_time_and_leaves_nothing_open() -> None:
    plan = soak.Plan(cameras=2, frames=12, calls=800, rounds=2, seed=SEED)
    findings = soak.soak(plan)
    assert sum(findings.outcomes.values()) == plan.frames + plan.calls
    assert findings.outcomes["frame done"] > plan.frames / 2
    assert findings.outcomes["call cancelled"]
    # Memory growth needs the long run: python -m benchmarks.soak.
    assert [text for text in findings.failures() if "memory" not in text] == []


def test_threads_that_were_there_before_may_end() -> None:
    assert soak.Findings(memory=[100], threads_left=-1).failures() == []


def test_a_soak_run_reports_its_failures() -> None:
    findings = soak.Findings(
        longest={"call": 5.0, "frame": 10.0},
        memory=[100, *[90] * 8, 104],
        sockets_left=1,
    )
    assert findings.failures() == [
        "the longest call took 5.0 s, limit 4.0 s",
        "left open: (1, 0, 0) sockets, tasks, threads",
        "memory grew by 4.0%",
    ]
    assert "5.00 s longest call" in soak.report(findings)


@pytest.mark.long
@pytest.mark.timeout(240)
@pytest.mark.parametrize("loop", LOOPS)
def test_a_night_on_a_bad_network_delivers_every_frame(loop: str) -> None:
    pytest.importorskip(loop)
    report = night(NIGHT_FRAMES, SEED, loop)
    assert not report.failures(), str(report)
    assert report.faults.logged, "no fault was injected"


def test_a_night_notices_a_fault_that_is_not_in_the_log() -> None:
    def injected(fault: str, number: int) -> FaultEvent:
        return FaultEvent(0.0, fault, "GET", "gain", 0, {"ClientTransactionID": str(number)})

    log, found = NightLog(), Findings()
    log.lines = [
        "PUT http://server/startexposure #1: server's #1 after 2.0 ms",
        "GET http://server/gain #17: failed after 500.0 ms: no complete reply",
        "GET /gain?ClientID=1&ClientTransactionID=18 to server is sent again: reset",
        "<AsyncCamera camera/0>: the exposure is repeated: the readout failed",
        "PUT http://server/startexposure #2: server's #2 after 2.0 ms",
    ]
    numbered = {"silence": 17, "reset_before": 18, "garbage": 19, "delay": 20, "close_before": 17}
    log.find_network_faults([injected(*each) for each in numbered.items()], found)
    log.find_camera_faults([("fails", 1), ("hangs", 2)], found)
    assert found.logged == {"silence": 1, "reset_before": 1, "fails": 1}
    assert found.unnoticeable == {"delay": 1}
    assert found.missing == {"garbage": 1, "close_before": 1, "hangs": 1}
    report = NightReport(0, cooler_on=False, temperature=WARM, faults=found)
    assert report.failures() == ["not in the log: {'garbage': 1, 'close_before': 1, 'hangs': 1}"]
