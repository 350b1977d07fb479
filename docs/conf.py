"""How the pages are made: `sphinx-build -W docs docs/_build`."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pygments.lexers import PythonLexer
from sphinx.highlighting import lexers

if TYPE_CHECKING:
    from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from alpaca_async import __version__

project = "alpaca_async"
author = "The alpaca_async authors"
project_copyright = author
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"alpaca_async {__version__}"
html_copy_source = False

default_role = "literal"
myst_heading_anchors = 3

# Only our own public names have pages here.
nitpicky = True
nitpick_ignore_regex = [
    ("py:(class|exc)", r"(?!alpaca_async\.).*"),
    ("py:(class|exc)", r"alpaca_async(\.\w+)*\._.*"),
]

autoclass_content = "class"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"exclude-members": "__init__, __new__"}


def _list_errors(*event: object) -> None:
    """Turn a docstring's section `Raises:` into fields."""
    lines = cast("list[str]", event[-1])
    if "Raises:" in lines:
        start = lines.index("Raises:")
        fields = (re.sub(r"^    (\w+):", r":raises \1:", line) for line in lines[start + 1 :])
        lines[start:] = fields


def setup(app: Sphinx) -> None:
    """Take part in the making of the reference."""
    app.connect("autodoc-process-docstring", _list_errors)


# Cells of notebooks, which IPython's own lexer would highlight if it were installed.
lexers["ipython"] = PythonLexer()
