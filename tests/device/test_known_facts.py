from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from alpaca_async import CameraInfo, CameraSettings
from alpaca_async._device import known_facts
from alpaca_async._device.known_facts import KnownFacts, RetryPauses
from alpaca_async._device.record import DeviceRecord


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(known_facts, "monotonic", clock)
    return clock


def test_pauses_double_up_to_ten_minutes(clock: Clock) -> None:
    pauses = RetryPauses()
    lengths: list[float] = []
    for _ in range(9):
        begun = clock.now
        pauses.failed("gain")
        while not pauses.allows("gain"):
            clock.now += 1
        lengths.append(clock.now - begun)
    assert lengths == [10, 20, 40, 80, 160, 320, 600, 600, 600]


def test_an_answer_ends_the_pauses_of_its_member_only(clock: Clock) -> None:
    pauses = RetryPauses()
    for name in ("gain", "offset"):
        pauses.failed(name)
        pauses.failed(name)
    pauses.answered("gain")
    assert pauses.allows("gain")
    assert not pauses.has_failed("gain")
    assert not pauses.allows("offset")
    pauses.failed("gain")
    clock.now = 10
    assert pauses.allows("gain")
    assert not pauses.allows("offset")


def test_what_a_device_lacks_is_known() -> None:
    facts = KnownFacts(CameraSettings)
    facts.add("gain", None, facts.version)
    facts.add("bin_x", 2, facts.version)
    assert facts.known == CameraSettings(bin_x=2)
    assert "gain" not in facts.unknown
    assert "offset" in facts.unknown


def test_the_record_stays_the_same_object_until_something_is_learned() -> None:
    facts = KnownFacts(CameraInfo)
    facts.add("name", "a", facts.version)
    known = facts.known
    facts.add("sensor_name", None, facts.version)
    assert facts.known is known


def test_an_answer_from_before_a_change_is_not_recorded() -> None:
    facts = KnownFacts(CameraSettings)
    version = facts.version
    facts.add("offset", 7, version)
    facts.forget()
    facts.add("gain", 1, version)
    assert facts.known == CameraSettings()
    assert {"gain", "offset"} <= set(facts.unknown)


def test_late_and_failed_facts_are_not_awaited(clock: Clock) -> None:
    record = DeviceRecord()
    record.retry_pauses.failed("max_adu")
    assert "max_adu" not in record.awaited_facts | record.other_facts
    record.info.stop_waiting()
    assert "max_adu" not in record.other_facts
    assert {"name", "sensor_name"} <= record.other_facts
    assert "gain" in record.awaited_facts
    clock.now = 10
    assert "max_adu" in record.other_facts
    record.forget()
    assert {"name", "max_adu", "gain"} <= record.awaited_facts


def test_settings_that_became_invalid_are_awaited_again() -> None:
    record = DeviceRecord()
    record.settings.stop_waiting()
    assert "bin_x" not in record.awaited_facts
    record.command_sent("BinX")
    assert "bin_x" in record.awaited_facts


def test_no_fact_is_lost_that_several_threads_learn_at_once(often_switching: None) -> None:
    names = ("name", "unique_id", "driver_version", "sensor_name")
    with ThreadPoolExecutor(len(names)) as threads:
        for _ in range(300):
            facts, together = KnownFacts(CameraInfo), Barrier(len(names))

            def learn(
                name: str, facts: KnownFacts[CameraInfo] = facts, together: Barrier = together
            ) -> None:
                together.wait()
                facts.add(name, name, facts.version)

            list(threads.map(learn, names))
            assert [getattr(facts.known, name) for name in names] == list(names)
