from __future__ import annotations

import asyncio
import itertools
import logging
import random
from typing import TYPE_CHECKING, Any, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_async import (
    AlpacaClient,
    AsyncCamera,
    InvalidOperationException,
    InvalidValueException,
    MalformedResponse,
    NotImplementedException,
    RequestRejected,
    TransportTimeout,
)
from alpaca_async._workflows import frame as frame_module
from alpaca_async._workflows.frame import Axis, Limits, plan
from alpaca_async.testing import SimulatedCamera, SimulatorServer
from tests.scripted import ScriptedServer, ascom_error, http, value
from tests.virtual_time import in_virtual_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.scripted import Answer, Reply, Request

WIDTH, HEIGHT = 67, 50


class Frame(TypedDict):
    bin_x: int
    bin_y: int
    start_x: int
    start_y: int
    num_x: int
    num_y: int


MEMBERS = ("bin_x", "bin_y", "start_x", "start_y", "num_x", "num_y")


@pytest.fixture
def simulated() -> SimulatedCamera:
    return SimulatedCamera(width=WIDTH, height=HEIGHT, readout_time=0.0, connect_time=0.0)


def frame(simulated: SimulatedCamera) -> dict[str, int]:
    return {member: getattr(simulated, member) for member in MEMBERS}


def commands(simulated: SimulatedCamera) -> list[tuple[str, int]]:
    """Return the members set since the last clearing, with their values."""
    spelled = {member.replace("_", ""): member for member in MEMBERS}
    return [
        (spelled[r.member], int({k.lower(): v for k, v in r.parameters.items()}[r.member]))
        for r in simulated.requests
        if r.verb == "PUT" and r.member in spelled
    ]


def fits(settings: Mapping[str, Any]) -> bool:
    return all(
        settings[f"start_{axis}"] >= 0
        and settings[f"num_{axis}"] >= 1
        and settings[f"start_{axis}"] + settings[f"num_{axis}"] <= size // settings[f"bin_{axis}"]
        for axis, size in (("x", WIDTH), ("y", HEIGHT))
    )


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - a simulated camera has no events
        await asyncio.sleep(0.001)


def states(before: Mapping[str, Any], sent: list[tuple[str, int]]) -> Iterator[Mapping[str, Any]]:
    state: dict[str, int] = dict(before)
    for member, number in sent:
        state[member] = number
        yield dict(state)


async def test_unchanged_settings_send_no_command(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    await camera.set_frame(bin_x=2, bin_y=2, start_x=3, start_y=4, num_x=10, num_y=12)
    simulated.requests.clear()
    await camera.set_frame(bin_x=2, bin_y=2, start_x=3, start_y=4, num_x=10, num_y=12)
    await camera.set_frame()
    assert {request.verb for request in simulated.requests} == {"GET"}


async def test_only_what_differs_is_sent(camera: AsyncCamera, simulated: SimulatedCamera) -> None:
    await camera.set_frame(num_x=20, start_y=0)
    assert commands(simulated) == [("num_x", 20)]


async def test_changes_by_another_client_are_noticed(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    await camera.set_frame(num_x=20)
    simulated.num_x = 30
    await camera.set_frame(num_x=20)
    assert simulated.num_x == 20


async def test_the_full_frame_stays_full_at_every_binning(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    for binning in (2, 4, 3, 1):
        await camera.set_frame(bin_x=binning, bin_y=binning)
        assert frame(simulated) == {
            **dict.fromkeys(("bin_x", "bin_y"), binning),
            **dict.fromkeys(("start_x", "start_y"), 0),
            "num_x": WIDTH // binning,
            "num_y": HEIGHT // binning,
        }


async def test_a_subframe_keeps_its_part_of_the_sensor_and_never_exceeds_it(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    await camera.set_frame(start_x=41, start_y=10, num_x=26, num_y=40)
    seen = list[tuple[int, ...]]()
    for binning in (2, 4, 2, 1):
        before = frame(simulated)
        simulated.requests.clear()
        await camera.set_frame(bin_x=binning, bin_y=binning)
        assert all(map(fits, states(before, commands(simulated))))
        seen.append((simulated.start_x, simulated.num_x, simulated.start_y, simulated.num_y))
    assert seen == [(20, 13, 5, 20), (10, 6, 2, 10), (20, 12, 4, 20), (40, 24, 8, 40)]


async def test_between_any_two_frames_every_step_fits(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    dice = random.Random(1)
    for _ in range(40):
        wanted = random_frame(dice)
        before = frame(simulated)
        simulated.requests.clear()
        await camera.set_frame(**wanted)
        assert frame(simulated) == wanted
        sent = commands(simulated)
        assert all(map(fits, states(before, sent))), (before, sent)
        assert len(sent) == sum(number != before[member] for member, number in wanted.items())


def random_frame(dice: random.Random) -> Frame:
    bin_x, bin_y = dice.randint(1, 4), dice.randint(1, 4)
    start_x, start_y = dice.randrange(WIDTH // bin_x), dice.randrange(HEIGHT // bin_y)
    return Frame(
        bin_x=bin_x,
        bin_y=bin_y,
        start_x=start_x,
        start_y=start_y,
        num_x=dice.randint(1, WIDTH // bin_x - start_x),
        num_y=dice.randint(1, HEIGHT // bin_y - start_y),
    )


class TestOneBinningForBothAxes:
    @pytest.fixture
    def simulated(self) -> SimulatedCamera:
        return SimulatedCamera(
            width=WIDTH, height=HEIGHT, can_asymmetric_bin=False, connect_time=0.0
        )

    async def test_no_step_exceeds_the_sensor(
        self, camera: AsyncCamera, simulated: SimulatedCamera
    ) -> None:
        await camera.set_frame(start_x=41, start_y=10, num_x=26, num_y=40)
        for binning in (4, 1):
            before = frame(simulated)
            simulated.requests.clear()
            await camera.set_frame(bin_x=binning, bin_y=binning)
            sent = commands(simulated)
            mirrored = [
                pair
                for member, number in sent
                for pair in ((member, number), (member.replace("n_x", "n_y"), number))
            ]
            assert all(map(fits, states(before, mirrored))), sent

    async def test_two_binnings_are_refused(
        self, camera: AsyncCamera, simulated: SimulatedCamera
    ) -> None:
        with pytest.raises(ValueError, match="must be equal: CanAsymmetricBin is False"):
            await camera.set_frame(bin_x=2)
        assert commands(simulated) == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"bin_x": 5}, r"bin_x must be 1 to 4 \(MaxBinX\), not 5"),
        ({"bin_y": 0}, r"bin_y must be 1 to 4 \(MaxBinY\), not 0"),
        ({"start_x": -1}, "start_x must not be negative"),
        ({"num_y": 0}, "num_y must be at least 1"),
        ({"start_y": 1}, r"start_y 1 \+ num_y 50 exceed 50 pixels"),
        ({"bin_x": 2, "num_x": 34}, r"exceed 33 pixels \(CameraXSize 67 // bin_x 2\)"),
    ],
)
async def test_values_beyond_the_sensor_are_refused_before_any_command(
    camera: AsyncCamera, simulated: SimulatedCamera, wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        await camera.set_frame(**wrong)
    assert commands(simulated) == []


@pytest.mark.parametrize("wrong", [1.0, True, "2"])
async def test_a_non_integer_is_refused(camera: AsyncCamera, wrong: int) -> None:
    with pytest.raises(TypeError, match="bin_x must be an int"):
        await camera.set_frame(bin_x=wrong)
    with pytest.raises(TypeError, match="bin_y must be an int"):
        await camera.reset_frame(1, wrong)


async def test_even_rounds_starts_and_sizes_down(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    await camera.set_frame(start_x=11, num_x=21, start_y=10, num_y=1, even=True)
    assert (simulated.start_x, simulated.num_x) == (10, 20)
    assert (simulated.start_y, simulated.num_y) == (10, 2)


async def test_the_frame_is_reset_from_any_frame(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    await camera.set_frame(bin_x=4, bin_y=2, start_x=3, num_x=5)
    await camera.reset_frame()
    assert frame(simulated) == dict(zip(MEMBERS, (1, 1, 0, 0, WIDTH, HEIGHT), strict=True))
    await camera.reset_frame(2, 3)
    assert frame(simulated) == dict(zip(MEMBERS, (2, 3, 0, 0, 33, 16), strict=True))
    with pytest.raises(ValueError, match="bin_x must be 1 to 4"):
        await camera.reset_frame(0)


BEFORE = Frame(bin_x=2, bin_y=1, start_x=20, start_y=5, num_x=13, num_y=30)
AFTER = Frame(bin_x=1, bin_y=3, start_x=50, start_y=3, num_x=10, num_y=12)


@pytest.mark.parametrize("nth", range(1, 7))
async def test_a_refusal_of_any_command_restores_the_former_frame(
    camera: AsyncCamera, simulated: SimulatedCamera, nth: int
) -> None:
    await camera.set_frame(**BEFORE)
    simulated.requests.clear()
    simulated.refuse(nth=nth, error=InvalidValueException(0x401, "not this one"))
    with pytest.raises(InvalidValueException, match="not this one"):
        await camera.set_frame(**AFTER)
    assert frame(simulated) == BEFORE
    sent = commands(simulated)
    refused = [command for number, command in enumerate(sent, 1) if number != nth]
    assert len(sent) == 2 * nth - 1
    assert all(map(fits, states(BEFORE, refused)))
    await camera.set_frame(**AFTER)
    assert frame(simulated) == AFTER


class Slow(SimulatedCamera):
    """Executes commands at once, but answers late."""

    delay = 0.0

    def answer_delay(self, verb: str, member: str) -> float:
        return self.delay if verb == "PUT" else 0.0


class TestCancelled:
    @pytest.fixture
    def simulated(self) -> Slow:
        return Slow(width=WIDTH, height=HEIGHT, connect_time=0.0)

    @pytest.mark.parametrize("nth", range(1, 7))
    async def test_during_any_command_it_restores_the_former_frame(
        self, camera: AsyncCamera, simulated: Slow, nth: int
    ) -> None:
        await camera.set_frame(**BEFORE)
        simulated.delay = 0.02
        simulated.requests.clear()
        task = asyncio.create_task(camera.set_frame(**AFTER))
        await until(lambda: len(commands(simulated)) >= nth)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert frame(simulated) == BEFORE
        assert len(commands(simulated)) == 2 * nth

    async def test_it_keeps_what_was_set_meanwhile(
        self, camera: AsyncCamera, simulated: Slow
    ) -> None:
        await camera.set_frame(num_x=20)
        simulated.delay = 0.02
        task = asyncio.create_task(camera.set_frame(num_x=10, num_y=10))
        await camera.set_gain(7)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        known = camera._record.set_values
        assert {name: known.get(name) for name in ("Gain", "NumX")} == {"Gain": 7, "NumX": 20}

    async def test_while_another_is_at_work_it_sends_nothing(
        self, camera: AsyncCamera, simulated: Slow
    ) -> None:
        simulated.delay = 0.05
        first = asyncio.create_task(camera.set_frame(num_x=20))
        second = asyncio.create_task(camera.set_frame(num_y=20))
        await until(lambda: commands(simulated))
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        await first
        assert commands(simulated) == [("num_x", 20)]

    async def test_a_refusal_that_comes_with_the_cancellation_is_dropped(
        self, camera: AsyncCamera, simulated: Slow
    ) -> None:
        simulated.delay = 0.02
        task = asyncio.create_task(camera.set_frame(**AFTER))
        await until(lambda: len(commands(simulated)) >= 2)
        simulated.set_connected(False)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_two_callers_do_not_interleave(
    camera: AsyncCamera, simulated: SimulatedCamera
) -> None:
    wanted = [random_frame(random.Random(seed)) for seed in range(6)]
    await asyncio.gather(*(camera.set_frame(**each) for each in wanted))
    assert frame(simulated) == wanted[-1]
    visited = list(states(frame(SimulatedCamera(width=WIDTH, height=HEIGHT)), commands(simulated)))
    assert all(map(fits, visited))
    # Each frame is reached, in the order of the calls.
    places = [visited.index(each) for each in wanted]
    assert places == sorted(places)


def test_a_camera_can_be_used_in_one_event_loop_after_the_other() -> None:
    camera = AsyncCamera("127.0.0.1:1")

    async def contend() -> None:
        async def enter() -> None:
            async with camera._record.frame_turns():
                await asyncio.sleep(0)

        await asyncio.gather(enter(), enter())

    asyncio.run(contend())
    asyncio.run(contend())


class Adapting(SimulatedCamera):
    """Resets its subframe when its binning changes, as some drivers do."""

    def set_bin_x(self, value: int) -> None:
        super().set_bin_x(value)
        self.start_x, self.num_x = 0, self.width // value


class TestACameraThatAdaptsItsSubframe:
    @pytest.fixture
    def simulated(self) -> SimulatedCamera:
        return Adapting(width=WIDTH, height=HEIGHT, connect_time=0.0)

    async def test_is_told_again(self, camera: AsyncCamera, simulated: SimulatedCamera) -> None:
        await camera.set_frame(**BEFORE)
        assert frame(simulated) == BEFORE

    @pytest.mark.parametrize("nth", range(1, 7))
    async def test_is_restored(
        self, camera: AsyncCamera, simulated: SimulatedCamera, nth: int
    ) -> None:
        await camera.set_frame(**BEFORE)
        simulated.refuse(nth=nth)
        with pytest.raises(InvalidOperationException):
            await camera.set_frame(**AFTER)
        assert frame(simulated) == BEFORE


async def test_a_former_frame_that_cannot_be_restored_is_logged(
    camera: AsyncCamera, simulated: SimulatedCamera, caplog: pytest.LogCaptureFixture
) -> None:
    simulated.refuse("numy", error=InvalidValueException(0x401, "first"))
    simulated.refuse("numx", nth=2, error=InvalidValueException(0x401, "second"))
    with pytest.raises(InvalidValueException, match="first"):
        await camera.set_frame(num_x=20, num_y=20)
    assert "the former frame could not be restored" in caplog.text
    assert "second" in caplog.text


def replies(**changes: Reply) -> dict[str, Reply]:
    """Return the replies of a 100 x 80 pixel camera, only for the members of a frame."""
    read = {"camerax size": 100, "cameray size": 80, "maxbinx": 4, "maxbiny": 4}
    read |= {"binx": 1, "biny": 1, "startx": 0, "starty": 0, "numx": 100, "numy": 80}
    missing = ascom_error(0x400, "not here")
    members = _Missing(missing)
    members.update({name.replace(" ", ""): value(number) for name, number in read.items()})
    members.update(changes)
    return members


class _Missing(dict[str, "Reply"]):
    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self._reply = reply

    def __missing__(self, _: str) -> Reply:
        return self._reply


@in_virtual_time
async def test_a_command_without_an_answer_is_undone(caplog: pytest.LogCaptureFixture) -> None:
    async def silence() -> bytes:
        await asyncio.Event().wait()
        return b""

    def num_x(request: Request) -> Answer:
        return silence() if request.verb == "PUT" else value(100)

    members = replies(numx=num_x)
    async with ScriptedServer(members) as server, AsyncCamera(server.address) as camera:
        with pytest.raises(TransportTimeout):
            await camera.set_frame(num_x=10)
        sent = [r.parameters["NumX"] for r in server.requests if r.verb == "PUT"]
    assert sent == ["10", "100"]
    assert "could not be restored" in caplog.text


async def test_a_command_that_was_carried_out_before_the_server_failed_is_undone(
    client: AlpacaClient,
) -> None:
    width = 100

    def num_x(request: Request) -> Answer:
        nonlocal width
        if request.verb == "GET":
            return value(width)
        width = int(request.parameters["NumX"])
        return http(b"oops", status="500 Error") if width == 10 else value(None)

    async with ScriptedServer(replies(numx=num_x)) as server:
        with pytest.raises(RequestRejected):
            await client.camera(server.address).set_frame(num_x=10)
    assert width == 100


async def test_a_binning_of_zero_is_a_malformed_response(client: AlpacaClient) -> None:
    async with ScriptedServer(replies(binx=value(0))) as server:
        with pytest.raises(MalformedResponse, match="camera/0/binx"):
            await client.camera(server.address).set_frame(bin_x=2, bin_y=2)
    assert {request.verb for request in server.requests} == {"GET"}


@pytest.mark.parametrize("member", ["cameraxsize", "cameraysize", "maxbinx", "maxbiny"])
@pytest.mark.parametrize("size", [0, -5])
async def test_a_sensor_without_a_size_is_not_blamed_on_the_caller(
    client: AlpacaClient, member: str, size: int
) -> None:
    async with ScriptedServer(replies(**{member: value(size)})) as server:
        camera = client.camera(server.address)
        for change in (camera.set_frame(num_x=10), camera.reset_frame()):
            with pytest.raises(MalformedResponse, match=f"{member}: the value is {size}"):
                await change
    assert {request.verb for request in server.requests} == {"GET"}


@in_virtual_time
async def test_a_late_command_is_not_executed_after_it_was_undone() -> None:
    width = 100

    async def change(parameters: Mapping[str, str]) -> bytes:
        nonlocal width
        if parameters["NumX"] == "10":
            await asyncio.sleep(3)
        width = int(parameters["NumX"])
        return value(None)

    def num_x(request: Request) -> Answer:
        return change(request.parameters) if request.verb == "PUT" else value(width)

    members = replies(numx=num_x)
    async with ScriptedServer(members) as server, AsyncCamera(server.address) as camera:
        task = asyncio.create_task(camera.set_frame(num_x=10))
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        await asyncio.sleep(9)
    assert task.cancelled()
    assert width == 100


@pytest.mark.parametrize("member", ["cameraxsize", "cameraysize", "maxbinx", "maxbiny"])
async def test_a_camera_that_does_not_report_its_limits_raises_its_error(
    member: str, client: AlpacaClient
) -> None:
    async with ScriptedServer(replies(**{member: ascom_error(0x400, "no idea")})) as server:
        with pytest.raises(NotImplementedException, match="no idea"):
            await client.camera(server.address).set_frame(num_x=10)


async def test_an_image_of_the_expected_size_logs_nothing(
    camera: AsyncCamera, caplog: pytest.LogCaptureFixture
) -> None:
    await camera.set_frame(bin_x=2, num_x=20, num_y=10)
    image = await camera.expose(0.01)
    assert image.data.shape == (10, 20)
    assert image.frame_mismatch is None
    assert (await camera.get_image()).frame_mismatch is None
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_an_ignored_subframe_is_logged(
    camera: AsyncCamera, simulated: SimulatedCamera, caplog: pytest.LogCaptureFixture
) -> None:
    simulated.ignores_subframes = True
    await camera.set_frame(num_x=20, num_y=10)
    image = await camera.expose(0.01)
    assert image.data.shape == (HEIGHT, WIDTH)
    assert image.frame_mismatch == "size"
    assert "delivered 67 x 50 pixels, but its settings say 20 x 10" in caplog.text


async def test_swapped_axes_are_logged(
    camera: AsyncCamera, simulated: SimulatedCamera, caplog: pytest.LogCaptureFixture
) -> None:
    simulated.swaps_axes = True
    image = await camera.expose(0.01)
    assert image.frame_mismatch == "swapped"
    assert "delivered 50 x 67 pixels, but its settings say 67 x 50: the axes" in caplog.text


async def test_unknown_settings_log_nothing(
    server: SimulatorServer, camera: AsyncCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse() -> int:
        raise NotImplementedException(0x400, "no")

    monkeypatch.setattr(camera, "get_num_x", refuse)
    assert (await camera.expose(0.01)).frame_mismatch is None


@given(st.data())
def test_another_binning_alone_always_fits(data: st.DataObject) -> None:
    limits = Limits("X", data.draw(st.integers(16, 500), "size"), 16)
    full = limits.full(data.draw(st.integers(1, 16), "from"))
    start = data.draw(st.integers(0, full.num - 1), "start")
    num = data.draw(st.integers(1, full.num - start), "num")
    binning = data.draw(st.integers(1, 16), "to")
    present = full._replace(start=start, num=num)
    wanted = frame_module.Request(binning=binning).apply_to(present, limits, even=False)
    assert wanted.start >= 0
    assert 1 <= wanted.num <= limits.size // binning - wanted.start


def test_the_plan_of_every_small_frame_fits() -> None:
    small = [
        Axis("X", binning, start, num)
        for binning in (1, 2, 3)
        for start in range(6 // binning)
        for num in range(1, 6 // binning - start + 1)
    ]
    still = Axis("Y", 1, 0, 1)
    for old, new in itertools.product(small, small):
        state = {"BinX": old.binning, "StartX": old.start, "NumX": old.num}
        for change in plan((old, still), (new, still)):
            assert state[change.member] == change.former
            state[change.member] = change.value
            assert state["StartX"] + state["NumX"] <= 6 // state["BinX"], (old, new)
        assert tuple(state.values()) == new[1:]
