from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, cast, get_type_hints

import pytest
from pydantic import TypeAdapter

from alpaca_async import (
    CameraInfo,
    CameraSettings,
    CameraStates,
    CameraStatus,
    Exposure,
    Progress,
    SensorType,
)

NOW = datetime(2026, 1, 31, 22, 4, 5, tzinfo=UTC)
RECORDS: list[Any] = [
    CameraInfo(sensor_type=SensorType.RGGB, readout_modes=("Fast",)),
    CameraSettings(bin_x=2),
    CameraStatus(camera_state=CameraStates(7), ccd_temperature=-10.5, timestamp=NOW),
    Exposure(duration=2.0, light=True, started=NOW, started_uncertainty=0.01),
    Progress(phase="reading", state=CameraStates.READING),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_pydantic_writes_and_reads_the_records(record: Any) -> None:  # noqa: ANN401 - of five types
    adapter = adapter_without_names(cast("type[object]", type(record)))
    text = adapter.dump_json(record)
    assert adapter.validate_json(text) == record
    assert adapter.json_schema()["type"] == "object"


def adapter_without_names(kind: type[object]) -> TypeAdapter[Any]:
    """Return an adapter made in a module that lacks the names in the annotations."""
    names: dict[str, Any] = {"TypeAdapter": TypeAdapter, "kind": kind, "__name__": "elsewhere"}
    exec("adapter = TypeAdapter(kind)", names)  # noqa: S102 - five words of our own
    adapter: TypeAdapter[Any] = names["adapter"]
    return adapter


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_the_types_of_a_record_can_be_read(record: Any) -> None:  # noqa: ANN401 - of five types
    assert get_type_hints(cast("type[object]", type(record)))


def test_every_status_can_be_written_as_json() -> None:
    text = json.dumps(RECORDS[2].as_dict(), allow_nan=False)
    status = json.loads(text)
    assert status["camera_state"] == 7
    assert status["ccd_temperature"] == -10.5
    assert datetime.fromisoformat(status["timestamp"]) == NOW
