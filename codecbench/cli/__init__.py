"""The ``codecbench`` command; subcommands are imported when they are used, so that ``--help`` answers at once."""

from __future__ import annotations

import importlib
import sys

import click

from codecbench.errors import CodecbenchError

# name -> (module:command, one line of help)
_BUILT_IN = {
    "run": ("codecbench.cli.run:run_command", "Encode, decode and score a corpus with codecs; write the reports."),
    "merge": ("codecbench.cli.merge:merge_command", "Join the shards of a run into one, with its reports."),
    "report": ("codecbench.cli.report:report_command", "Write the reports of finished runs again."),
    "plot": ("codecbench.cli.report:plot_command", "Draw the plots of finished runs again."),
    "diff": ("codecbench.cli.comparing:diff_command", "Compare two runs utterance by utterance; gate a change."),
    "leaderboard": ("codecbench.cli.comparing:leaderboard_command", "Put many runs into one table."),
    "encode": ("codecbench.cli.coding:encode_command", "Encode audio files into packed token files."),
    "decode": ("codecbench.cli.coding:decode_command", "Decode token files into audio."),
    "check": ("codecbench.cli.check:check_command", "Hold a codec to the plugin contract (conformance kit)."),
    "codecs": ("codecbench.cli.listing:codecs_command", "List codecs and whether they can be used here."),
    "tasks": ("codecbench.cli.listing:tasks_command", "List tasks and what they measure."),
    "metrics": ("codecbench.cli.listing:metrics_command", "List metrics with unit, direction and source."),
    "recognizers": ("codecbench.cli.listing:recognizers_command", "List speech recognisers for WER."),
    "corpora": ("codecbench.cli.listing:corpora_command", "List corpora and corpus formats."),
    "env": ("codecbench.cli.env:env_command", "Make environments for plugins that clash with ours; list, remove."),
    "plugins": ("codecbench.cli.listing:plugins_command", "List plugins, what they register, and what failed."),
    "store": ("codecbench.cli.store:store_command", "Look into a store: list, verify, remove what no run needs."),
    "doctor": ("codecbench.cli.doctor:doctor_command", "Say what is installed, missing or clashing, and the mend."),
}


class LazyGroup(click.Group):
    """A group whose built-in subcommands load when used; plugins' commands come through their registrations."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of built-in commands, then those of plugins."""
        return [*_BUILT_IN, *sorted(_plugin_commands())]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        if cmd_name in _BUILT_IN:
            return _import(_BUILT_IN[cmd_name][0])
        entry = _plugin_commands().get(cmd_name)
        return _import(entry[0]) if entry else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of commands without importing them."""
        rows = [(name, text) for name, (_, text) in {**_BUILT_IN, **_plugin_commands()}.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or name the nearest one."""
        name = args[0]
        if self.get_command(ctx, name) is None:
            from codecbench.errors import unknown_name

            raise click.UsageError(str(unknown_name("command", name, self.list_commands(ctx))), ctx)
        return super().resolve_command(ctx, args)


def _plugin_commands() -> dict[str, tuple[str, str]]:
    from codecbench.cli.common import default_host

    commands = default_host().registry.commands
    return {name: (entry.target, entry.help) for name, entry in commands.items() if name not in _BUILT_IN}


def _import(target: str) -> click.Command:
    module, _, attribute = target.partition(":")
    command: click.Command = getattr(importlib.import_module(module), attribute)
    return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="codecbench")
def app() -> None:
    """Benchmark speech tokenizers and audio codecs: which one, at which token rate, keeps what?

    Exit codes: 0 complete, 1 error, 2 wrong usage, 3 partial (something asked for was unavailable or failed).
    """


def main() -> None:
    """Entry point: errors that a user can mend are one line, never a traceback."""
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped; what is done is kept: the same command goes on from there", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
    except CodecbenchError as error:
        click.echo(f"codecbench: {error}", err=True)
        sys.exit(error.exit_code)
