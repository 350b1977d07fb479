"""Discovery on a host with several networks, some of them unusable."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .networks import LINKS, UNIQUE_ID

ROOT = Path(__file__).resolve().parents[2]


def own_network() -> list[str]:
    """Return the command prefix for a new network namespace; skip the test if not allowed."""
    if not (shutil.which("ip") and shutil.which("unshare")):
        pytest.skip("needs ip and unshare (Debian: iproute2, util-linux)")
    command = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--map-root-user"]
    probe = [*command, "sh", "-c", "ip link add v type veth peer p && ip -6 route show"]
    tried = subprocess.run(probe, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    if tried.returncode:
        pytest.skip(f"network namespaces are not allowed: {tried.stderr.strip()}")
    if not Path("/proc/net/if_inet6").exists():
        pytest.skip("no IPv6 here")
    return command


@pytest.fixture(scope="module")
def search() -> tuple[dict[str, Any], str]:
    command = [*own_network(), sys.executable, "-m", "tests.discovery.networks"]
    finished = subprocess.run(  # noqa: S603 - ours
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout), finished.stderr


def test_servers_on_all_networks_are_found_within_the_timeout(
    search: tuple[dict[str, Any], str],
) -> None:
    times: dict[str, float] = search[0]["times"]
    v4 = {f"10.0.{number}.2:4444" for number in LINKS}
    v6 = {f"[fe80::{number}:2%v{number}]:6666" for number in LINKS}
    assert set(times) == v4 | v6
    assert max(times.values()) < 4.0


def test_invalid_replies_and_unusable_interfaces_are_ignored_and_logged(
    search: tuple[dict[str, Any], str],
) -> None:
    for number in LINKS:
        assert f"10.0.{number}.66 sent" in search[1]
    assert "cannot send a discovery request to 10.0.8.255" in search[1]


def test_a_camera_with_several_addresses_is_found_once(
    search: tuple[dict[str, Any], str],
) -> None:
    report, _ = search
    (camera,) = report["cameras"]
    assert camera["unique_id"] == UNIQUE_ID
    assert camera["address"] in report["times"]
    assert set(report["ids"].values()) == {UNIQUE_ID}
