from __future__ import annotations

import hashlib
import os
import pty
import signal
import ssl
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
import trustme

from alpaca_async.cli._access import PASSWORD_VARIABLE, Access
from alpaca_async.testing import SimulatedCamera, SimulatorServer, run_in_thread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conftest import Run

PASSWORD = "open sesame"  # noqa: S105 - of a simulator
COMMANDS: dict[str, list[object]] = {
    "info": [],
    "get": ["gain"],
    "set": ["gain=1"],
    "watch": ["--count", 1],
    "bench": ["--calls", 2, "-n", 1],
    "expose": ["-t", 0.01, "-o", "pictures"],
}


class Secure(NamedTuple):
    address: str
    fingerprint: str


@pytest.fixture
def secure(simulated: SimulatedCamera) -> Iterator[Secure]:
    """A server that needs a password, with a certificate that no authority has signed."""
    certificate = trustme.CA().issue_cert("127.0.0.1")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)  # pyright: ignore[reportUnknownMemberType]
    der = ssl.PEM_cert_to_DER_cert(certificate.cert_chain_pems[0].bytes().decode())
    simulated.set_connected(True)
    server = SimulatorServer([simulated], ssl_context=context, auth=("observer", PASSWORD))
    with run_in_thread(server):
        yield Secure(f"https://{server.address}", hashlib.sha256(der).hexdigest())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_logs_in_to_a_server_with_a_pinned_certificate(
    run: Run, secure: Secure, command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
    access = ("--user", "observer", "--pin", secure.fingerprint)
    result = run(command, secure.address, *COMMANDS[command], *access)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_sends_the_password_under_another_certificate(
    run: Run, secure: Secure, command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
    access = ("--user", "observer", "--pin", "0" * 64)
    result = run(command, secure.address, *COMMANDS[command], *access)
    assert result.exit_code == 1
    assert "not pinned" in result.output
    assert secure.fingerprint in result.output.replace(":", "").lower()


def test_a_wrong_password_is_refused_and_not_printed(
    run: Run, secure: Secure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, "wrong horse")
    result = run("-vv", "info", secure.address, "-u", "observer", "--pin", secure.fingerprint)
    assert result.exit_code == 1
    assert "401" in result.stderr
    assert "wrong horse" not in result.output


@pytest.mark.parametrize(
    ("address", "pin", "message"),
    [
        ("https://127.0.0.1:1", "12:34", "--pin: '12:34' is not a SHA-256 fingerprint"),
        ("127.0.0.1:1", "0" * 64, "--pin needs an address that starts with https://"),
    ],
)
def test_a_certificate_that_would_not_be_checked_is_a_wrong_option(
    run: Run, address: str, pin: str, message: str
) -> None:
    result = run("info", address, "--pin", pin)
    assert result.exit_code == 2
    assert message in result.stderr


def test_without_a_terminal_the_password_must_be_in_the_environment(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(PASSWORD_VARIABLE, raising=False)
    result = run("info", "127.0.0.1:1", "--user", "observer")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"alpaca-async: --user needs a password: set {PASSWORD_VARIABLE}\n"


def test_the_password_is_not_in_the_repr() -> None:
    assert PASSWORD not in repr(Access(("observer", PASSWORD)))


class Prompted:
    """The command on a terminal of its own, which it asks for the password."""

    def __init__(self, *arguments: str) -> None:
        environment = {name: os.environ[name] for name in os.environ if name != PASSWORD_VARIABLE}
        root = str(Path(__file__).parents[2])
        self.terminal, theirs = pty.openpty()
        self.process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "alpaca_async.cli", *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**environment, "PYTHONPATH": root, "COLUMNS": "200"},
            start_new_session=True,
        )
        os.close(theirs)
        self.screen = ""

    def read_until(self, text: str) -> None:
        while text not in self.screen:
            self.screen += os.read(self.terminal, 4096).decode()

    def end(self) -> int:
        try:
            while piece := os.read(self.terminal, 4096):
                self.screen += piece.decode()
        except OSError:  # the other end is closed
            pass
        os.close(self.terminal)
        return self.process.wait(20)


def test_a_terminal_is_asked_for_the_password_without_echo() -> None:
    with run_in_thread(SimulatorServer([SimulatedCamera()], auth=("observer", PASSWORD))) as server:
        command = Prompted("info", server.address, "--user", "observer")
        command.read_until("password of observer: ")
        os.write(command.terminal, f"{PASSWORD}\n".encode())
        assert command.end() == 0, command.screen
    assert "Simulated camera" in command.screen
    assert PASSWORD not in command.screen


def test_ctrl_c_at_the_prompt_is_one_line_and_130() -> None:
    command = Prompted("info", "127.0.0.1:1", "--user", "observer")
    command.read_until("password of observer: ")
    command.process.send_signal(signal.SIGINT)
    assert command.end() == 130
    last = command.screen.splitlines()[-1]
    assert last.strip() == "alpaca-async: interrupted"
    assert "Traceback" not in command.screen
