"""Records as HTML tables."""

from __future__ import annotations

import pickle

from alpaca_async import CameraInfo, CameraSettings, CameraStatus, SensorType
from alpaca_async._tables import html_table


def test_a_record_shows_what_is_known() -> None:
    info = CameraInfo(name="A & B", sensor_type=SensorType.RGGB, readout_modes=("Slow", "Fast"))
    assert info._repr_html_() == (
        "<table><caption>CameraInfo</caption><tr><th>name</th><td>A &amp; B</td></tr>"
        "<tr><th>sensor_type</th><td>RGGB</td></tr>"
        "<tr><th>readout_modes</th><td>Slow, Fast</td></tr></table>"
    )


def test_numbers_are_short() -> None:
    shown = CameraStatus(ccd_temperature=-9.999999999, percent_completed=0)._repr_html_()
    assert "<td>-10</td>" in shown
    assert "<td>0</td>" in shown


def test_long_values_of_a_server_are_cut_and_escaped() -> None:
    shown = html_table("<b>", {"<i>": "<" * 1000})
    assert "<b>" not in shown
    assert "<i>" not in shown
    assert shown.count("&lt;") == 2 + 80
    assert "…" in shown


def test_records_have_no_further_attributes() -> None:
    settings = CameraSettings(gain=3)
    assert not hasattr(settings, "__dict__")
    assert pickle.loads(pickle.dumps(settings)) == settings  # noqa: S301 - our own bytes
