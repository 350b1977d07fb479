"""`alpaca-async web`."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from contextlib import asynccontextmanager
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from alpaca_async import find_cameras
from alpaca_async.cli import _web
from alpaca_async.testing import SimulatedCamera, SimulatedFocuser, SimulatorServer, run_in_thread

from .conftest import started

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from .conftest import Run

ALL_ADDRESSES = "0.0.0.0"  # noqa: S104 - behind a token


def test_a_simulated_rig_is_served_until_ctrl_c(tmp_path: Path) -> None:
    with started("web", "sim", "--port", 0, "--no-open", "-o", tmp_path / "frames") as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(
            r"1 camera at (http://127\.0\.0\.1:\d+/); press Ctrl-C to stop\n", line
        )
        assert found, line
        assert "<h1>" in httpx.get(found[1]).text
        state: dict[str, Any] = httpx.get(f"{found[1]}api/state").json()
        assert len(state["cameras"]) == 1
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
        assert (process.returncode, errors) == (0, "stopped\n")
    assert (tmp_path / "frames").is_dir()


@pytest.mark.parametrize("secret", [None, "open-sesame"])
def test_beyond_this_computer_a_token_is_needed(
    tmp_path: Path, secret: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALPACA_ASYNC_TOKEN", secret or "")
    with started(
        "web",
        "sim",
        "--host",
        ALL_ADDRESSES,
        "--port",
        0,
        "--no-open",
        "-o",
        tmp_path,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r":(\d+)/\?token=([\w-]+);", line)
        assert found, line
        assert len(found[2]) > 20 or found[2] == secret
        url = f"http://127.0.0.1:{found[1]}/"
        assert httpx.get(url).status_code == 401
        with httpx.Client(follow_redirects=True) as http:
            assert http.get(url, params={"token": found[2]}).status_code == 200


def test_the_browser_is_opened_where_there_is_one(
    run: Run, tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def open_page(url: str) -> None:
        opened.append(url)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("webbrowser.open", open_page)
    monkeypatch.setattr("alpaca_async.cli._web._has_browser", lambda: True)
    result = run("web", f"{address}/0", "--port", 0, "-o", tmp_path)
    assert result.exit_code == 0, result.output
    assert opened[0] in result.stdout


def test_an_error_is_one_line(run: Run, tmp_path: Path) -> None:
    result = run("web", "host:port", "--no-open", "-o", tmp_path)
    assert result.exit_code == 2
    assert "host:port" in result.stderr


def test_a_server_that_is_off_is_shown_and_connected_to_later(tmp_path: Path, address: str) -> None:
    with run_in_thread(SimulatorServer([])) as server:
        absent, port = server.address, server.port
    command = ("web", address, absent, "--port", 0, "--no-open", "-o", tmp_path)
    with started(*command) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.match(r"2 cameras at (\S+);", line)
        assert found, line
        await_second(found[1], answers=False)
        with run_in_thread(SimulatorServer([SimulatedCamera()], port=port)):
            await_second(found[1], answers=True)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert "connection refused; the page connects camera 0 as soon as" in errors


def await_second(url: str, *, answers: bool) -> None:
    """Wait until the page knows whether its second camera answers."""
    with httpx.stream("GET", f"{url}api/events", timeout=20) as events:
        for line in events.iter_lines():
            if line.startswith("data: "):
                camera = json.loads(line.removeprefix("data: "))["cameras"][1]
                if (camera["status_error"] is None, camera["status"] is not None) == (answers,) * 2:
                    return
    raise AssertionError("the page has ended")


def test_a_port_in_use_is_told(run: Run, tmp_path: Path, address: str) -> None:
    port = address.rpartition(":")[2]
    result = run("web", address, "--no-open", "--port", port, "-o", tmp_path)
    assert result.exit_code == 2
    assert f"port {port} is in use, perhaps by another alpaca-async" in result.stderr


def test_a_folder_that_is_a_file_is_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "frames").touch()
    result = run("web", "sim", "--no-open", "--port", 0, "-o", tmp_path / "frames")
    assert result.exit_code == 1
    assert "this is a file, not a folder" in result.stderr


@pytest.mark.parametrize("own", ["192.0.2.7", None])
def test_the_printed_address_is_one_that_a_phone_can_use(
    own: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_web, "own_address", lambda: own)
    monkeypatch.setattr("platform.node", lambda: "observatory")
    assert _web._url(ALL_ADDRESSES, 8000, None) == f"http://{own or 'observatory'}:8000/"
    assert _web._url("192.0.2.9", 8000, "x") == "http://192.0.2.9:8000/?token=x"


def test_without_addresses_cameras_are_looked_for(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = partial(find_cameras, ["127.0.0.1"], timeout=0.05, port=9)
    monkeypatch.setattr("alpaca_async.cli._web.find_cameras", nobody)
    result = run("web", "--no-open", "-o", tmp_path)
    assert result.exit_code == 2
    assert "no camera found in the network; pass an address, or 'sim'" in result.stderr


def test_a_server_without_cameras_is_told(run: Run, tmp_path: Path) -> None:
    with run_in_thread(SimulatorServer([SimulatedFocuser()])) as server:
        result = run("web", server.address, "--no-open", "-o", tmp_path)
        assert result.exit_code == 2
        assert f"{server.address} has no camera" in result.stderr


def test_a_password_is_not_sent_to_whoever_answers(run: Run) -> None:
    result = run("web", "--user", "observer", "--no-open")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--user needs an ADDRESS" in result.stderr


async def test_cameras_in_the_network_are_in_the_order_of_their_addresses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cameras = [SimpleNamespace(address=each, device_number=n) for each in "ba" for n in (1, 0)]

    @asynccontextmanager
    async def some() -> AsyncGenerator[AsyncGenerator[Any]]:
        async def found() -> AsyncGenerator[Any]:
            for each in cameras:
                yield each

        yield found()

    monkeypatch.setattr(_web, "find_cameras", some)
    places = [(each.address, each.device_number) for each in await _web._find_cameras()]
    assert places == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]


@pytest.mark.parametrize(
    ("host", "loopback", "wildcard"),
    [
        ("127.0.0.1", True, False),
        ("::1", True, False),
        ("LocalHost", True, False),
        ("0.0.0.0", False, True),  # noqa: S104 - nothing listens
        ("::", False, True),
        ("192.0.2.1", False, False),
        ("pi.example", False, False),
    ],
)
def test_only_hosts_beyond_this_computer_need_a_token(
    host: str, loopback: bool, wildcard: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ALPACA_ASYNC_TOKEN", raising=False)
    assert (_web._token(host) is None) is loopback
    monkeypatch.setattr(_web, "own_address", lambda: "192.0.2.9")
    shown = "192.0.2.9" if wildcard else f"[{host}]" if ":" in host else host
    assert _web._url(host, 8080, None) == f"http://{shown}:8080/"
    assert _web._url(host, 8080, "secret") == f"http://{shown}:8080/?token=secret"
    monkeypatch.setenv("ALPACA_ASYNC_TOKEN", "secret")
    assert _web._token(host) == "secret"


@pytest.mark.parametrize(
    ("platform", "variable", "has_browser"),
    [
        ("win32", None, True),
        ("darwin", None, True),
        ("linux", "DISPLAY", True),
        ("linux", "WAYLAND_DISPLAY", True),
        ("linux", None, False),
    ],
)
def test_a_browser_needs_a_display_on_linux(
    platform: str, variable: str | None, has_browser: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    if variable is not None:
        monkeypatch.setenv(variable, ":0")
    monkeypatch.setattr(sys, "platform", platform)
    assert _web._has_browser() is has_browser
