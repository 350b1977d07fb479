"""Cameras as detectors of ophyd-async, with a RunEngine in its own thread."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from alpaca_async import CameraStates, NotImplementedException
from alpaca_async.testing import SimulatedCamera, SimulatorServer, run_in_thread

from .conftest import needs

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

pytestmark = [needs("ophyd_async"), needs("h5py")]

PAGE = Path(__file__).parents[2] / "docs/how-to/use-bluesky.md"


def end(engine: Any) -> None:  # noqa: ANN401 - bluesky is not typed here
    """End the event loop of a RunEngine."""
    engine.loop.call_soon_threadsafe(engine.loop.stop)
    engine._th.join()
    engine.loop.close()


class Site:
    """Two simulated cameras as detectors, a RunEngine, and the documents of its last plan."""

    def __init__(self, server: SimulatorServer, folder: Path) -> None:
        core = import_module("ophyd_async.core")
        self.plans: Any = import_module("bluesky.plans")
        self.stubs: Any = import_module("bluesky.plan_stubs")
        self.simulated = server.cameras
        self.folder = folder
        self.documents: list[tuple[str, dict[str, Any]]] = []
        self.engine: Any = import_module("bluesky.run_engine").RunEngine({}, context_managers=[])
        paths = core.StaticPathProvider(core.UUIDFilenameProvider(), folder)
        make = import_module("alpaca_async.ophyd").AlpacaDetector
        with core.init_devices():
            first = make(server.address, paths, 0, name="first", fits=True)
            second = make(server.address, paths, 1, name="second")
        self.detectors: list[Any] = [first, second]

    def run(self, plan: Any) -> Counter[str]:  # noqa: ANN401 - bluesky is not typed here
        """Run a plan; return how many documents of each kind it emitted."""
        self.documents.clear()
        self.engine(plan, self._collect)
        return self.counts

    def _collect(self, name: str, document: dict[str, Any]) -> None:
        self.documents.append((name, document))

    @property
    def counts(self) -> Counter[str]:
        """How many documents of each kind the last plan emitted."""
        return Counter(name for name, _ in self.documents)

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        """Return the documents of one kind."""
        return [document for name, document in self.documents if name == kind]

    def expose_for(self, seconds: float) -> None:
        """Set the exposure time of both detectors."""
        for detector in self.detectors:
            self.engine(self.stubs.mv(detector.exposure_time, seconds))

    def count(self, number: int = 1) -> Any:  # noqa: ANN401 - a plan
        """Return a plan with exposures of the first detector."""
        return self.plans.count([self.detectors[0]], number)

    def when_exposing(self, act: Callable[[], object]) -> threading.Thread:
        """Call `act` in a thread as soon as the first camera exposes."""

        def wait() -> None:
            while self.simulated[0].state is not CameraStates.EXPOSING:
                time.sleep(0.01)
            act()

        thread = threading.Thread(target=wait)
        thread.start()
        return thread

    def close(self) -> None:
        """Close the connections, and end the RunEngine's loop."""
        call = import_module("bluesky.run_engine").call_in_bluesky_event_loop
        for detector in self.detectors:
            call(detector.camera.aclose())
        end(self.engine)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    cameras = [SimulatedCamera(width=64, height=48, readout_time=0.0) for _ in range(2)]
    with run_in_thread(SimulatorServer(cameras)) as server:
        site = Site(server, tmp_path)
        site.expose_for(0.05)
        yield site
        site.close()


@needs("tiled")
def test_count_writes_frames_that_tiled_can_read(site: Site) -> None:
    found = site.run(site.count(3))
    assert found == {
        "start": 1,
        "descriptor": 1,
        "stream_resource": 4,
        "stream_datum": 12,
        "event": 3,
        "stop": 1,
    }
    make = import_module("bluesky.consolidators").consolidator_factory
    (descriptor,) = site.of_kind("descriptor")
    readers = {each["uid"]: make(each, descriptor) for each in site.of_kind("stream_resource")}
    for datum in site.of_kind("stream_datum"):
        readers[datum["stream_resource"]].consume_stream_datum(datum)
    frames = next(each for each in readers.values() if each.data_key == "first")
    assert frames.shape == (3, 48, 64)
    (path,) = site.folder.glob("*.h5")
    with import_module("h5py").File(path) as file:
        pixels = file["/entry/data/data"][:]
    assert (pixels.shape, str(pixels.dtype)) == (frames.shape, "uint16")
    assert pixels.any(axis=(1, 2)).all()
    if find_spec("hdf5plugin") and find_spec("dask"):  # of a server of tiled
        for reader in readers.values():
            reader.validate(fix_errors=False)
        assert (frames.get_adapter().read() == pixels).all()


def test_all_frames_have_the_dtype_that_the_camera_needs(site: Site) -> None:
    simulated = site.simulated[0]
    simulated.narrowest_type = True  # the type of each frame follows from its pixels
    simulated.max_adu = 70000
    site.run(site.count(2))
    (descriptor,) = site.of_kind("descriptor")
    assert descriptor["data_keys"]["first"]["dtype_numpy"] == "<i4"


def test_the_configuration_tells_how_the_camera_was_set(site: Site) -> None:
    first = site.detectors[0]
    site.run(site.stubs.mv(first.gain, 100, first.binning, 2))
    site.run(site.count())
    (descriptor,) = site.of_kind("descriptor")
    assert descriptor["configuration"]["first"]["data"] == {
        "first-exposure_time": 0.05,
        "first-gain": 100,
        "first-offset": 100,
        "first-binning": 2,
    }
    assert descriptor["data_keys"]["first"]["shape"] == [1, 24, 32]


def test_fits_files_are_written_beside_on_request(site: Site) -> None:
    site.run(site.plans.count(site.detectors, 2))
    assert len(list(site.folder.glob("*.h5"))) == 2
    assert sorted(path.name[-11:] for path in site.folder.glob("*.fits")) == [
        "_00000.fits",
        "_00001.fits",
    ]


def test_a_scan_over_the_exposure_time(site: Site) -> None:
    first = site.detectors[0]
    found = site.run(site.plans.scan([first], first.exposure_time, 0.02, 0.06, 3))
    assert found["event"] == 3
    sent = [each for each in site.simulated[0].requests if each.member == "startexposure"]
    durations = [float(each.parameters["Duration"]) for each in sent]
    assert durations == pytest.approx([0.02, 0.04, 0.06])


def fly(site: Site, number: int) -> Any:  # noqa: ANN401 - a plan
    core = import_module("ophyd_async.core")
    preprocessors = import_module("bluesky.preprocessors")
    stubs = site.stubs

    def inner() -> Generator[Any, Any, None]:
        wanted = core.TriggerInfo(number_of_events=number, livetime=0.05)
        for detector in site.detectors:
            yield from stubs.prepare(detector, wanted, wait=True)
        yield from stubs.declare_stream(*site.detectors, name="main", collect=True)
        yield from stubs.kickoff_all(*site.detectors, wait=True)
        yield from stubs.collect_while_completing(
            site.detectors, site.detectors, flush_period=0.1, stream_name="main"
        )

    run = preprocessors.run_decorator()(inner)
    return preprocessors.stage_decorator(site.detectors)(run)()


def test_a_fly_scan_with_two_cameras(site: Site) -> None:
    site.run(fly(site, 4))
    stops = Counter[str]()
    for datum in site.of_kind("stream_datum"):
        stops[datum["stream_resource"]] = datum["indices"]["stop"]
    assert list(stops.values()) == [4] * 8


def test_a_camera_that_fails_in_a_fly_scan_ends_it_without_frames_that_are_not_there(
    site: Site,
) -> None:
    site.simulated[0].fail_exposure("the shutter is stuck")
    with pytest.raises(Exception, match="shutter is stuck"):
        site.run(fly(site, 4))
    uids = [each["uid"] for each in site.of_kind("stream_resource") if "first" in each["data_key"]]
    assert not [each for each in site.of_kind("stream_datum") if each["stream_resource"] in uids]
    assert [camera.state for camera in site.simulated] == [CameraStates.IDLE] * 2


def test_an_exposure_may_be_longer_than_the_timeout(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPHYD_ASYNC_PRESERVE_DETECTOR_STATE", "NO")
    site.expose_for(11.0)
    assert site.run(site.count())["event"] == 1


def test_an_abort_reaches_the_camera(site: Site) -> None:
    interrupted = import_module("bluesky.run_engine").RunEngineInterrupted
    site.expose_for(60.0)
    moments: list[float] = []

    def abort() -> None:
        moments.append(time.monotonic())
        site.engine.abort("a test")

    thread = site.when_exposing(abort)
    with pytest.raises(interrupted):
        site.run(site.count())
    thread.join()
    assert site.simulated[0].state is CameraStates.IDLE
    assert site.simulated[0].count("abortexposure") == 1
    assert time.monotonic() - moments[0] < 5  # 0.03 s on an idle machine


def test_a_pause_aborts_the_exposure_and_resuming_repeats_it(site: Site) -> None:
    interrupted = import_module("bluesky.run_engine").RunEngineInterrupted
    site.expose_for(1.0)
    thread = site.when_exposing(site.engine.request_pause)
    with pytest.raises(interrupted):
        site.run(site.count(2))
    thread.join()
    assert site.simulated[0].state is CameraStates.IDLE
    assert site.simulated[0].count("abortexposure") == 1
    site.engine.resume()
    assert site.counts["event"] == 2
    assert site.simulated[0].count("startexposure") == 3


def test_an_error_of_the_camera_ends_the_plan_at_once_and_the_next_one_works(site: Site) -> None:
    failed = import_module("bluesky.utils").FailedStatus
    site.simulated[0].fail_exposure("the shutter is stuck")
    with pytest.raises(failed) as caught:
        site.run(site.count())
    assert "the shutter is stuck" in str(caught.value.__cause__)
    assert site.run(site.count())["event"] == 1


def test_a_camera_without_gain_has_none_in_its_configuration(tmp_path: Path) -> None:
    simulated = SimulatedCamera(width=64, height=48, gain_mode="none")
    with run_in_thread(SimulatorServer([simulated] * 2)) as server:
        site = Site(server, tmp_path)
        site.expose_for(0.01)
        site.run(site.count())
        (descriptor,) = site.of_kind("descriptor")
        assert "first-gain" not in descriptor["configuration"]["first"]["data"]
        with pytest.raises(Exception, match="Gain") as caught:
            site.run(site.stubs.rd(site.detectors[0].gain))
        assert isinstance(caught.value, NotImplementedException)
        site.close()


def test_the_how_to_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = PAGE.read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    with run_in_thread(SimulatorServer([SimulatedCamera(width=64, height=48)])) as server:
        names: dict[str, Any] = {}
        exec(code.replace("192.168.1.20:11111", server.address), names)  # noqa: S102 - our page
        end(names["RE"])
    assert len(list(tmp_path.glob("*.h5"))) == 2
