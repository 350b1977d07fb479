from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from alpaca_async import AlpacaClient
from alpaca_async.cli import _record, _sim
from alpaca_async.cli._access import PASSWORD_VARIABLE

from .conftest import ctrl_c_when
from .test_access import PASSWORD, Secure, secure

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Run

__all__ = ["secure"]


async def gain(address: str, **options: Any) -> int:  # noqa: ANN401 - of a client
    async with AlpacaClient(**options) as client:
        camera = client.camera(address)
        await camera.connect()
        return await camera.get_gain()


class Printed(list[str]):
    """The lines that a command prints, and the address in them."""

    @property
    def address(self) -> str:
        match = re.search(r"at (\S+:\d+);", "\n".join(self))
        assert match is not None
        return match[1]


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> Printed:
    lines = Printed()
    for module in (_record, _sim):
        monkeypatch.setattr(module, "print_line", lines.append)
    return lines


def test_a_session_is_recorded_and_replayed(
    run: Run, address: str, tmp_path: Path, printed: Printed
) -> None:
    path = tmp_path / "session.jsonl"
    seen: list[int] = []

    def asked() -> bool:
        if printed:
            seen.append(asyncio.run(gain(printed.address)))
        return bool(printed)

    with ctrl_c_when(asked):
        result = run("record", address, path, "--port", 0)
    count = len(path.read_text(encoding="utf-8").splitlines()) - 1
    assert count > 1
    summary = f"{count} requests and their replies are in {path}"
    assert result.stderr.splitlines()[1:] == [summary, "stopped"]
    assert result.exit_code == 0
    printed.clear()
    with ctrl_c_when(asked):
        result = run("sim", "--replay", path, "--port", 0, "--no-discovery", "--speed-up", 100)
    assert (result.exit_code, result.stderr) == (0, "stopped\n")
    assert seen[0] == seen[1]


def test_a_server_with_a_password_and_a_pinned_certificate_is_recorded(
    run: Run,
    secure: Secure,
    tmp_path: Path,
    printed: Printed,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(PASSWORD_VARIABLE, raising=False)
    path = tmp_path / "session.jsonl"

    def asked() -> bool:
        if printed:
            asyncio.run(gain(printed.address, auth=("observer", PASSWORD)))
        return bool(printed)

    with ctrl_c_when(asked):
        result = run("record", secure.address, path, "--port", 0, "--pin", secure.fingerprint)
    assert result.exit_code == 0
    text = path.read_text(encoding="utf-8")
    assert json.loads(text.splitlines()[1])["reply"]["text"].startswith("HTTP/1.1 200")
    assert PASSWORD not in text


def test_an_existing_file_is_refused(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "session.jsonl"
    path.touch()
    result = run("record", "127.0.0.1:1", path, "--port", 0)
    message = f"alpaca-async: {path}: File exists\n"
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", message)


def test_the_address_of_a_replay_can_be_read_by_programs(
    run: Run, address: str, tmp_path: Path, printed: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "session.jsonl"
    with ctrl_c_when(lambda: printed):
        run("record", address, path, "--port", 0)
    lines: list[dict[str, str]] = []
    monkeypatch.setattr(_sim, "print_json", lines.append)
    with ctrl_c_when(lambda: lines):
        result = run("sim", "--replay", path, "--port", 0, "--no-discovery", "--json")
    assert result.exit_code == 0
    assert lines[0]["session"] == str(path)
    assert lines[0]["address"].startswith("127.0.0.1:")


def test_a_file_of_anything_else_is_refused(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "session.jsonl"
    path.write_text("{}\n")
    result = run("sim", "--replay", path, "--port", 0)
    message = f"alpaca-async: {path}, line 1: not a recorded session\n"
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", message)


def test_options_of_cameras_are_refused_with_a_replay(run: Run, tmp_path: Path) -> None:
    result = run("sim", "--replay", tmp_path / "session.jsonl", "--cameras", 2)
    message = "alpaca-async: --replay cannot be combined with --cameras\n"
    assert (result.exit_code, result.stderr) == (2, message)
