"""The verbs of ``outward``, for people: help, completion, and the nearest verb for a mistyped one."""

from __future__ import annotations

import importlib
from typing import Any, Final

import click

from outward import __version__, native
from outward.cli.process import EXIT_INTERRUPTED, EXIT_USAGE, collect_from_here

VERBS: Final[dict[str, tuple[str, str]]] = {
    # verb: (module in outward.cli whose `command` it is, one line for --help). Imported only when called.
    "run": ("run", "Run a command in the sandbox; its only way out is the gateway."),
    "init": ("init", "Write a starter policy from the agents and credentials on this machine."),
    "serve": ("serve", "Run a gateway for containers, dev containers and teams."),
    "review": ("review", "Show what a session in review mode changed."),
    "apply": ("apply", "Take a session's changes over into the workspace."),
    "discard": ("discard", "Remove a session's changes."),
    "check": ("check", "Say what the policy decides about a request, without sending it."),
    "log": ("log", "Read the audit journal."),
    "audit": ("audit", "Verify the audit journal's hash chain."),
    "env": ("env", "Print the variables that make a client use a running gateway."),
    "secret": ("secret", "Keep secrets on this machine; what was done with each."),
    "doctor": ("doctor", "What this machine can do, and whether its clients trust the gateway."),
    "image": ("image", "Make what containers and virtual machines are started from."),
    "policy": ("policy", "Validate, show and edit policies."),
}


class Verbs(click.Group):
    """Loads a verb's module only when it is called: start-up time is a feature."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs, in the order in which a person meets them."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb's command, or nothing (click then suggests the nearest)."""
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"outward.cli.{VERBS[cmd_name][0]}")
        collect_from_here()
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the nearest verb in the error."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            import difflib  # here: only for a mistyped verb

            near = difflib.get_close_matches(args[0], VERBS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            ctx.fail(f"No such command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table of verbs, without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(verb, line) for verb, (_, line) in VERBS.items()])


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"outward {__version__} ({native.kind()})")
        ctx.exit()


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def cli() -> None:
    """Let AI coding agents work without ever holding your secrets.

    \b
      outward run -- claude           run an agent in a sandbox whose only way out is the gateway
      outward check GET https://…     what would the policy say?
      outward log --denied            what was refused, and the command that would allow it
    """


def call() -> Any:
    """Does what the command line says, and gives what the verb gives: its exit status, or nothing."""
    try:
        return cli.main(standalone_mode=False, windows_expand_args=False)
    except click.ClickException as error:
        error.show()
        return EXIT_USAGE
    except click.Abort:
        return EXIT_INTERRUPTED
