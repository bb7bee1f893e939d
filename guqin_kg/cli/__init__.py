"""The ``guqin`` command. Commands are loaded only when called, so that ``guqin --help`` stays quick."""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module

import click

# command -> (module, attribute, one-line help); each stage adds its line here
COMMANDS: dict[str, tuple[str, str, str]] = {
    "demo": ("guqin_kg.cli.demo", "demo", "The main job end to end."),
    "init": ("guqin_kg.cli.graph", "init", "Make a workspace."),
    "build": ("guqin_kg.cli.graph", "build", "Ontology, lexicon and your statements into the store."),
    "add": ("guqin_kg.cli.graph", "add", "Add notations, validated first."),
    "validate": ("guqin_kg.cli.validate", "validate", "Check the graph, or files against it."),
    "remove": ("guqin_kg.cli.graph", "remove", "Remove notations of your own."),
    "import": ("guqin_kg.cli.graph", "import_data", "Published data into the workspace."),
    "reason": ("guqin_kg.cli.reason", "reason", "Check for contradictions, fill the defined classes."),
    "fmt": ("guqin_kg.cli.reason", "fmt", "Write Turtle files in the stable form."),
    "regenerate": ("guqin_kg.cli.dialogue", "regenerate", "Dialogues, labels, drawings: what an edit touched."),
    "status": ("guqin_kg.cli.dialogue", "status", "What is stale, and which edit made it so."),
    "export": ("guqin_kg.cli.dialogue", "export", "Generated data as trainers take it."),
    "ask": ("guqin_kg.cli.ask", "ask", "Ask in words; the answer rests on the graph."),
    "explain": ("guqin_kg.cli.explain", "explain", "What the hands do, with sources."),
    "similar": ("guqin_kg.cli.similar", "similar", "Nearest notations, pictures and sounds."),
    "query": ("guqin_kg.cli.query", "query", "Ask the graph, by a library query or SPARQL."),
    "pitch": ("guqin_kg.cli.sound", "pitch", "What notations sound."),
    "play": ("guqin_kg.cli.sound", "play", "Sound notations as audio."),
    "score": ("guqin_kg.cli.sound", "score", "Read a score in context."),
    "draw": ("guqin_kg.cli.draw", "draw", "Draw notations, with component boxes."),
    "fonts": ("guqin_kg.cli.draw", "fonts", "Styles for drawing and their fonts."),
    "dataset": ("guqin_kg.cli.dataset", "dataset", "Images and labels at scale."),
    "parse": ("guqin_kg.cli.notation", "parse", "Read notations: reading to structure."),
    "recognize": ("guqin_kg.cli.recognise", "recognize", "Read pictures of glyphs as notations."),
    "adapters": ("guqin_kg.cli.recognise", "adapters", "List the adapters for books and hands."),
    "train": ("guqin_kg.cli.train", "train", "Train models on what the graph generates."),
    "evaluate": ("guqin_kg.cli.train", "evaluate", "Measure models."),
    "lexicon": ("guqin_kg.cli.notation", "lexicon", "Every well-formed notation the graph allows."),
}


class LazyGroup(click.Group):
    """A click group that knows the names and one-line helps without importing the commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][2]) for name in self.list_commands(ctx)])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="guqin-kg", prog_name="guqin")
def cli() -> None:
    """A knowledge graph of guqin tablature (减字谱): query, read, explain, draw, hear, teach.

    \b
    Examples:
      guqin demo                       the whole tour, in about five minutes
      guqin parse 大九勾四             a reading as a structure
      guqin explain 大九勾四           what the hands do
      guqin COMMAND --help             help with examples
    """


def main() -> None:
    """Entry point: runs a command; errors meant for people become one message and an exit status."""
    # a short command makes many objects and no garbage; pydantic's search for plugins reads every installed package
    gc.set_threshold(200_000, 20, 50)
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from guqin_kg.errors import GuqinKGError

    try:
        status = cli(standalone_mode=False)  # click returns the exit status instead of leaving
    except GuqinKGError as error:
        click.echo(f"guqin: {error}", err=True)
        sys.exit(error.exit_status)
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except click.Abort:
        click.echo("guqin: interrupted; finished work is kept, run the command again to go on", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        click.echo(
            f"guqin: {error.strerror or error}"
            + (f": {error.filename}" if error.filename else "")
            + "\n  hint: check that the place exists, is writable and has room, then run the command again; "
            + "what was there before is unchanged",
            err=True,
        )
        sys.exit(1)
    except Exception as error:
        if os.environ.get("GUQIN_DEBUG"):
            raise
        click.echo(
            f"guqin: a fault of the program, not of your data: {type(error).__name__}: {error}\n"
            "  hint: nothing half-written is kept; GUQIN_DEBUG=1 shows where it happened, for a report",
            err=True,
        )
        sys.exit(1)
    else:
        if isinstance(status, int) and status:
            sys.exit(status)
