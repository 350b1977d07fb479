"""How the pages are made: `sphinx-build -W docs docs/_build`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from alpaca_async import __version__

project = "alpaca_async"
author = "The alpaca_async authors"
project_copyright = author
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"alpaca_async {__version__}"
html_copy_source = False

default_role = "literal"
myst_heading_anchors = 3

# Only our own public names have pages here.
nitpicky = True
nitpick_ignore_regex = [
    ("py:class", r"(?!alpaca_async\.).*"),
    ("py:class", r"alpaca_async(\.\w+)*\._.*"),
]

autoclass_content = "class"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"exclude-members": "__init__, __new__"}
napoleon_numpy_docstring = False
