"""How sub-commands show their help, and what they say about options that do not exist."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand

from ._access import PASSWORD_VARIABLE


class Command(TyperCommand):
    """A sub-command whose help names arguments without their Python types."""

    def format_options(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - private to typer
        """Write the arguments and the options."""
        rows: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is None:
                continue
            if parameter.param_type_name == "argument":
                rows["Arguments"].append((parameter.metavar or record[0], record[1]))
            else:
                rows["Options"].append(record)
        for title, records in rows.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - as above
        """Parse the arguments; a password among them is refused."""
        if any(each.partition("=")[0] == "--password" for each in args):
            raise typer.BadParameter(
                "there is no --password, because other users of this computer could see it: use "
                f"--user NAME, and type the password when asked, or set {PASSWORD_VARIABLE}",
                ctx=ctx,
            )
        return super().parse_args(ctx, args)
