"""What several verbs declare alike, for people."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

_WHOLE: Final = 1000
"""Characters of a sentence in a list of commands; click would cut it short, and leave out what matters."""


class Group(click.Group):
    """A verb of several commands, whose list says of each the whole first sentence of its help."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table of commands, as click has it but for the length of its lines."""
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, each.get_short_help_str(_WHOLE)) for name, each in sorted(self.commands.items())]
            )


policy_option = click.option(
    "--policy",
    "policy_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The policy file; else $OUTWARD_POLICY, else ~/.config/outward/policy.yaml.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
