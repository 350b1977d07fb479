"""Runs all examples of the README and the pages: Python, commands, test files, names."""

from __future__ import annotations

import hashlib
import inspect
import io
import re
import shlex
import socket
import ssl
import struct
import subprocess
import sys
import textwrap
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
import trustme
from typer.testing import CliRunner

import alpaca_async
from alpaca_async import _errors, testing
from alpaca_async._discovery import discovery
from alpaca_async._discovery.interfaces import Destination
from alpaca_async.cli._app import app
from alpaca_async.testing import (
    SimulatedCamera,
    SimulatedCoverCalibrator,
    SimulatedFilterWheel,
    SimulatedFocuser,
    SimulatedRig,
    SimulatorServer,
    run_in_thread,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
ADDRESS = "192.168.1.20:11111"
SECURE_ADDRESS = f"https://{ADDRESS}"

FENCE = re.compile(
    r"^(?:<!-- (?P<remark>[^\n]*) -->\n+)?```(?P<language>\w+)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
REASON = "not run here: "
FILE = "file: "


class Secure(NamedTuple):
    """A server with TLS, and the values that clients need."""

    address: str
    fingerprint: str
    authority: bytes


class Block(NamedTuple):
    page: str
    line: int
    language: str
    remark: str
    code: str


def blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        line = text.count("\n", 0, match.start("code"))
        name = page.relative_to(ROOT).as_posix()
        yield Block(name, line, match["language"], match["remark"] or "", match["code"])


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def label(block: Block) -> str:
    return f"{block.page}:{block.line}"


def runnable(language: str) -> list[Block]:
    return [block for block in BLOCKS if block.language == language and not block.remark]


# .ci/run runs the commands of the README, each block in a fresh environment.
COMMANDS = [block for block in runnable("sh") if block.page != "README.md"]


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    """Serve new cameras, which no other example has changed."""
    cameras = [SimulatedCamera(width=320, height=240, readout_time=0.01) for _ in range(2)]
    rig = SimulatedRig(
        cameras,
        filter_wheel=SimulatedFilterWheel(speed_up=20),
        focuser=SimulatedFocuser(speed_up=20),
        cover_calibrator=SimulatedCoverCalibrator(speed_up=20),
    )
    with run_in_thread(SimulatorServer(rig.devices, discovery_port=0)) as running:
        yield running


@pytest.fixture(autouse=True)
def no_network(server: SimulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send every discovery request to the server of this test, and end when it has answered."""
    send_request = discovery._DiscoverySocket.send_request
    next_server = discovery._Replies.next_server

    def send_here(self: discovery._DiscoverySocket, destination: Destination, _: int) -> None:
        if destination.family == socket.AF_INET:
            send_request(self, Destination("127.0.0.1"), server.discovery_port)

    async def only_server(
        self: discovery._Replies, deadline: float
    ) -> discovery.DiscoveredServer | None:
        found = self._known and self._queue.empty()
        return None if found else await next_server(self, deadline)

    monkeypatch.setattr(discovery._DiscoverySocket, "send_request", send_here)
    monkeypatch.setattr(discovery._Replies, "next_server", only_server)


@pytest.fixture(scope="module")
def secure() -> Iterator[Secure]:
    """Serve the same cameras with TLS and a password."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)  # pyright: ignore[reportUnknownMemberType]
    der = ssl.PEM_cert_to_DER_cert(certificate.cert_chain_pems[0].bytes().decode())
    camera = SimulatedCamera(width=320, height=240, readout_time=0.01)
    server = SimulatorServer([camera], ssl_context=context, auth=("observer", "open sesame"))
    with run_in_thread(server):
        yield Secure(
            f"https://{server.address}", hashlib.sha256(der).hexdigest(), authority.cert_pem.bytes()
        )


@pytest.mark.parametrize(
    "block", [block for block in runnable("python") if SECURE_ADDRESS in block.code], ids=label
)
def test_an_example_of_https_runs(
    block: Block, secure: Secure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OBSERVATORY_PASSWORD", "open sesame")
    (tmp_path / "observatory.pem").write_bytes(secure.authority)
    code = re.sub(
        r"^FINGERPRINT = \(.*?^\)",
        f'FINGERPRINT = "{secure.fingerprint}"',
        block.code,
        flags=re.MULTILINE | re.DOTALL,
    )
    run_example(block, code.replace(SECURE_ADDRESS, secure.address), tmp_path, monkeypatch)


@pytest.mark.parametrize(
    "block", [block for block in runnable("python") if SECURE_ADDRESS not in block.code], ids=label
)
def test_an_example_runs(
    block: Block, server: SimulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_example(block, block.code.replace(ADDRESS, server.address), tmp_path, monkeypatch)


def run_example(block: Block, text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    code = compile(text, label(block), "exec")
    exec(code, {"__name__": "example"})  # noqa: S102 - our own pages


@pytest.mark.parametrize("block", COMMANDS, ids=label)
def test_a_command_runs(
    block: Block, server: SimulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for camera in server.cameras:
        camera.set_connected(True)
    for line in block.code.replace(ADDRESS, server.address).splitlines():
        name, *arguments = shlex.split(line)
        assert name == "alpaca-async", "another command needs a reason not to run"
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, line + result.output


def test_the_test_files_of_the_pages_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for block in BLOCKS:
        if block.remark.startswith(FILE):
            (tmp_path / block.remark.removeprefix(FILE)).write_text(block.code, encoding="utf-8")
    # The fixtures come from this tree, whether the package is installed or not.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    output = run_module("pytest", ["-q", "-p", "alpaca_async.testing.pytest_plugin"], tmp_path)
    assert "7 passed" in output


def run_module(module: str, arguments: list[str], folder: Path) -> str:
    finished = subprocess.run(  # noqa: S603 - our own interpreter and pages
        [sys.executable, "-c", RUN, str(ROOT), module, *arguments],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=50,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


RUN = """
import runpy, sys
sys.path.insert(0, sys.argv.pop(1))
sys.argv.pop(0)
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def test_examples_that_do_not_run_give_a_reason() -> None:
    for block in BLOCKS:
        if block.language in {"python", "sh"}:
            assert not block.remark or block.remark.startswith((REASON, FILE)), label(block)


def test_a_broken_example_is_detected(
    server: SimulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (block,) = (block for block in runnable("python") if block.page == "README.md")
    broken = block._replace(code=block.code.replace(".expose(", ".exposse("))
    with pytest.raises(AttributeError, match="exposse"):
        test_an_example_runs(broken, server, tmp_path, monkeypatch)


def test_the_readme_shows_eight_lines() -> None:
    (block,) = (block for block in runnable("python") if block.page == "README.md")
    assert len([line for line in block.code.splitlines() if line]) == 8


def test_both_commands_of_the_readme_take_the_picture_that_it_shows() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"alpaca-async expose (sim [^`\n]*)", readme)
    assert [re.sub(r" (-n 3|-o pictures)", "", command) for command in commands] == [
        "sim -t 5 --bin 2 --preview"
    ] * 2
    picture = (ROOT / "docs" / "images" / "light_0001.png").read_bytes()
    assert struct.unpack(">2I", picture[16:24]) == (640, 480)


def test_the_readme_names_the_servers_on_its_first_screen() -> None:
    first = (ROOT / "README.md").read_text(encoding="utf-8").split("## Features")[0]
    assert "docs/explanation/servers.md" in first


def test_the_readme_links_to_every_page_except_the_reference() -> None:
    readme, *pages = PAGES
    linked = set(re.findall(r"\]\((docs/[^)]+\.md)\)", readme.read_text(encoding="utf-8")))
    names = {page.relative_to(ROOT).as_posix() for page in pages}
    elsewhere = re.compile("docs/(index|reference/|decisions/)")
    assert not {name for name in names - linked if not elsewhere.match(name)}


def test_giving_up_prints_the_output_in_the_tutorial(
    server: SimulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (block,) = (block for block in runnable("python") if "too long" in block.code)
    output = io.StringIO()
    with redirect_stdout(output):
        test_an_example_runs(block, server, tmp_path, monkeypatch)
    assert output.getvalue() == "too long: IDLE\n"


def reference() -> str:
    pages = sorted((ROOT / "docs" / "reference").glob("*.md"))
    return "\n".join(page.read_text(encoding="utf-8") for page in pages)


@pytest.mark.parametrize("module", [alpaca_async, testing], ids=lambda module: module.__name__)
def test_the_reference_has_every_public_name(module: object) -> None:
    listed = set(re.findall(r"^\.\. auto\w+:: (\S+)$", reference(), re.MULTILINE))
    assert set(vars(module)["__all__"]) - {"__version__"} <= listed


def test_the_reference_has_every_member_of_a_camera() -> None:
    listed = set(
        re.findall(r"^\.\. auto\w+:: Async(?:Camera|Device)\.(\S+)$", reference(), re.MULTILINE)
    )
    members = inspect.getmembers(alpaca_async.AsyncCamera)
    assert listed == {name for name, _ in members if not name.startswith("_")}


@pytest.mark.parametrize(
    "kind",
    [
        alpaca_async.AsyncFilterWheel,
        alpaca_async.AsyncFocuser,
        alpaca_async.AsyncCoverCalibrator,
        alpaca_async.AsyncSafetyMonitor,
    ],
)
def test_the_reference_has_every_member_of_an_accessory(kind: type) -> None:
    pattern = rf"^\.\. automethod:: {kind.__name__}\.(\S+)$"
    listed = set(re.findall(pattern, reference(), re.MULTILINE))
    assert listed == {member for member in vars(kind) if not member.startswith("_")}


def test_the_tree_of_errors_matches_the_code() -> None:
    tree = re.search(
        r"^    AlpacaError\n.*?(?=\n\n)", str(_errors.__doc__), re.MULTILINE | re.DOTALL
    )
    page = (ROOT / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")
    assert tree is not None
    assert textwrap.dedent(tree[0]) in page


def test_links_between_pages_are_valid() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", text):
            assert target.startswith("https://") or (page.parent / target).exists(), (page, target)
