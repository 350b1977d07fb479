"""Runs cells in a Jupyter kernel, for `test_programs.py`; each line on stdin interrupts one.

`python -m tests.interop.notebook CELLS`, a JSON list, prints what each cell has shown as JSON. In a
process of its own, because Jupyter's client leaves event loops open.
"""

from __future__ import annotations

import json
import sys
import threading
from importlib import import_module
from typing import Any


def run(client: Any, code: str) -> dict[str, Any]:  # noqa: ANN401 - Jupyter's client has no types
    """Return the status, the text, the media types and the error of a cell."""
    texts: list[str] = []
    kinds: set[str] = set()
    errors: list[str] = []

    def show(message: dict[str, Any]) -> None:
        content = message["content"]
        texts.append(content.get("text", "") or content.get("data", {}).get("text/plain", ""))
        kinds.update(content.get("data", {}))
        errors.append(content.get("ename", ""))

    reply = client.execute_interactive(code, timeout=50, output_hook=show)
    return {
        "status": reply["content"]["status"],
        "text": "".join(texts),
        "kinds": sorted(kinds),
        "error": "".join(errors),
    }


def main(cells: list[str]) -> None:
    """Run the cells one after the other."""
    manager, client = import_module("jupyter_client.manager").start_new_kernel()

    def interrupt() -> None:
        for _ in sys.stdin:
            manager.interrupt_kernel()

    threading.Thread(target=interrupt, daemon=True).start()
    try:
        print(json.dumps([run(client, code) for code in cells]))  # noqa: T201
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
