"""The command line: one module a command, one line in COMMANDS.

Commands raise; `run` turns what they raise into one screen of words and an exit code:
0 done, 1 a check failed, 2 wrong use or a model that cannot be loaded or traced, 3 a fault of archlens.
"""

from __future__ import annotations

import gc
import inspect
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from archlens.cli.commands import (
    cache,
    check,
    compare,
    cue,
    diff,
    erf,
    explain,
    graph,
    models,
    profile,
    report,
    rf,
    summary,
    verify,
)
from archlens.cli.options import Debug, NoCache, OutputName, Shared, Timeout, with_shared
from archlens.cli.output import colour
from archlens.errors import ArchlensError
from archlens.version import __version__

# In the order of the help. A module has the name of its command, and so has the function in it. Commands
# import what they need inside the function: the help, the completion and `models` must not wait for torch.
COMMANDS: tuple[Callable[..., None], ...] = (
    models.models,
    summary.summary,
    rf.rf,
    erf.erf,
    verify.verify,
    graph.graph,
    compare.compare,
    explain.explain,
    report.report,
    profile.profile,
    cue.cue,
    check.check,
    diff.diff,
    cache.cache,
)

INTERRUPTED = 130
FAULT = 3
WRONG_USE = 2

# The root of Click's own errors (a wrong option, a missing argument). Typer carries its own copy of Click
# and exports only the leaves.
_CLICK_ERROR: type[Exception] = next(
    base for base in reversed(typer.BadParameter.__mro__) if base.__name__ == "ClickException"
)


def _version(asked: bool) -> None:
    if asked:
        print(f"archlens {__version__}")
        raise typer.Exit()


def _root(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001 - its callback answers
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    debug: Debug = False,  # noqa: ARG001 - `run` looks for it
    no_cache: NoCache = False,
    timeout: Timeout = None,
    output_name: OutputName = None,
) -> None:
    """What a segmentation network sees and what it costs, layer by layer.

    `archlens COMMAND --help` explains a command. Results go to stdout, all else to stderr.
    """
    context.obj = Shared(no_cache, timeout, output_name)
    if not context.resilient_parsing:
        context.default_map = project_defaults()


def project_defaults() -> dict[str, dict[str, str | list[str]]]:
    """Defaults of the shared options from the project's settings, by command: what neither the command line
    nor an ARCHLENS_* variable says."""
    from archlens.settings import find

    found = find(Path.cwd(), watched=False)
    size = None if found.input_size is None else [found.input_size]
    given = {"input_size": size, "device": found.device, "lang": found.lang}
    known = {name: value for name, value in given.items() if value is not None}
    return {
        command.__name__: {n: v for n, v in known.items() if n in inspect.signature(command).parameters}
        for command in COMMANDS
    }


def build_app(words: Sequence[str] = ()) -> typer.Typer:
    """The app with the commands that `words` hold, or with all. Typer prepares every command that it
    has for every run, 3 ms each."""
    app = typer.Typer(
        name="archlens",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        # Boxes and colours are for terminals; this also keeps GITHUB_ACTIONS from forcing them.
        rich_markup_mode="markdown" if colour() else None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    asked = [command for command in COMMANDS if command.__name__ in words]
    for command in asked or COMMANDS:
        # In full: the plain help would cut it after forty letters.
        about = (inspect.getdoc(command) or "").partition("\n\n")[0]
        app.command(short_help=" ".join(about.split()))(with_shared(command))
    return app


def run(args: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code. Never raises."""
    given = list(sys.argv[1:] if args is None else args)
    debug = "--debug" in given
    try:
        code = build_app(given)(args=given, prog_name="archlens", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except ArchlensError as error:
        _say(error.message, error.hint, debug)
        return error.exit_code
    except _CLICK_ERROR as error:
        _wrong_use(error, debug)
        return WRONG_USE
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except Exception as error:  # the last line of defence: a fault of ours, said so
        _say(
            f"a fault of archlens: {type(error).__name__}: {' '.join(str(error).split())[:300]}",
            "--debug shows the traceback; please report it.",
            debug,
        )
        return FAULT


def _wrong_use(error: Exception, debug: bool) -> None:
    """One of Click's errors in our form; with no command at all it is the help."""
    message = str(getattr(error, "format_message", lambda: error)())
    command = getattr(getattr(error, "ctx", None), "command_path", None) or "archlens"
    if type(error).__name__ == "NoArgsIsHelpError":
        print(message, file=sys.stderr)
    else:
        _say(message, f"`{command} --help` lists what it takes.", debug)


def _say(message: str, hint: str, debug: bool) -> None:
    """One screen at most on stderr: what was wrong, and what to do next."""
    if debug:
        traceback.print_exc()
    head = "\x1b[1;31merror:\x1b[0m" if colour(sys.stderr) else "error:"
    print(f"{head} {message}", file=sys.stderr)
    print(f"  {hint or '`archlens --help` shows how archlens is used.'}", file=sys.stderr)


def main() -> None:
    """Entry point of the `archlens` script."""
    # Imports and traces make many objects and little garbage: looking for it as often as Python does by
    # default is a tenth of the time of a command.
    gc.set_threshold(100_000, 20, 100)
    sys.exit(run())
