"""The page that a browser shows when a request is refused. It needs no other file."""

from __future__ import annotations

from html import escape
from typing import Final

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="dark">
  <title>Observatory</title>
  <link rel="icon" href="data:,">
  <style>
    :root {{ background: #0b0d10; color: #d6d3cd; font: 18px/1.5 system-ui, sans-serif; }}
    body {{ display: grid; place-content: center; min-height: 100dvh; margin: 0 1.5rem; }}
    main {{ max-width: 34rem; border-left: 0.3rem solid #e8a15b; padding-left: 1.2rem; }}
    h1 {{ font-size: 1.3rem; margin: 0 0 0.4rem; }}
    p {{ margin: 0; overflow-wrap: anywhere; }}
  </style>
</head>
<body>
  <main>
    <h1>Observatory</h1>
    <p>{}</p>
  </main>
</body>
</html>
"""


def page_for(reason: str) -> str:
    """Return an HTML page that tells the reason."""
    return _PAGE.format(escape(reason))
