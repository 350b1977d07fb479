"""Compiles the optional C extension while a wheel is built; called by hatchling.

Without a compiler the wheel is the same, without the extension and for every platform.
`ALPACA_ASYNC_EXTENSION=no` builds that wheel in any case; with `yes`, a failure is an error.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from setuptools import Distribution, Extension
from setuptools.command.build_ext import build_ext

NAME: Final = "alpaca_async._download._transpose"
SOURCE: Final = "alpaca_async/_download/_transpose.c"
WANTED: Final = os.environ.get("ALPACA_ASYNC_EXTENSION", "")
HAS_STABLE_ABI: Final = sys.implementation.name == "cpython" and not sysconfig.get_config_var(
    "Py_GIL_DISABLED"
)


class OptionalExtension(BuildHookInterface):
    """Adds the extension to the wheel if it can be compiled."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile into a temporary folder, for an editable installation beside the source."""
        if WANTED == "no" or not HAS_STABLE_ABI:
            return
        self._folder = TemporaryDirectory()
        binary = self._compile(in_place=version == "editable")
        if not binary.exists():
            return
        build_data["pure_python"] = False
        build_data["tag"] = f"cp311-abi3-{_platform()}"
        if version != "editable":
            build_data["force_include"][str(binary)] = f"{Path(SOURCE).parent}/{binary.name}"

    def _compile(self, *, in_place: bool) -> Path:
        """Return where the extension is if it could be compiled."""
        extension = Extension(
            NAME,
            [SOURCE],
            extra_compile_args=["-O3"],  # -O2 of gcc keeps the tiles in memory
            py_limited_api=True,
            optional=WANTED != "yes",
        )
        command = build_ext(Distribution({"name": NAME, "ext_modules": [extension]}))
        command.inplace = in_place
        command.build_lib = command.build_temp = self._folder.name
        command.ensure_finalized()
        command.run()
        return Path(command.get_ext_fullpath(NAME))


def _platform() -> str:
    return sysconfig.get_platform().replace("-", "_").replace(".", "_")
