"""The command `bifrost`: a table of commands that are imported when they are called, and the end of every run."""

import gettext as catalogue
import os
import sys
from contextlib import suppress
from gettext import gettext as _
from importlib import import_module
from pathlib import Path
from typing import Any

import click


def N_(text: str) -> str:
    """Marks a text for translation where it is written; it is translated where it is shown."""
    return text


COMMANDS = {
    "analyze": N_("what broke, why, the lines that prove it, and what to do next"),
    "digest": N_("the evidence alone: a log reduced to what matters"),
    "templates": N_("one template id for each line of a log"),
    "redact": N_("mask the secrets of a log, line by line"),
    "replay": N_("a past analysis once more, with another wording or model"),
    "history": N_("past analyses: list, show, search, export, delete"),
    "prompts": N_("what models are asked: versions, labels, roll back"),
    "serve": N_("the REST and WebSocket API"),
    "metrics": N_("what analyses took: how many, how long, tokens and cost"),
    "keys": N_("API keys: create, list, show, rotate, revoke"),
    "db": N_("the database's tables: status, upgrade"),
    "config": N_("the settings: init, show, path, validate"),
    "eval": N_("score engines and prompts on labelled cases, without a judge"),
    "doctor": N_("check what works here and how to mend what does not"),
    "demo": N_("analyse a bundled incident, offline"),
}

EXAMPLES = """\
  kubectl logs deploy/checkout | bifrost analyze
  bifrost analyze build.log app.log.gz /var/log/app/
  bifrost analyze app.log --provider ollama --model qwen3:8b
  bifrost demo"""


class LazyGroup(click.Group):
    """A group whose commands are modules of this package, each imported when it is used. `--help` imports none."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = getattr(import_module(f"bifrost_entrypoints.cli.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section(_("Commands")):
            formatter.write_dl([(name, _(text)) for name, text in COMMANDS.items()])


def speak(arguments: list[str], environment: dict[str, str]) -> None:
    """Chooses the language of messages before any of them is made: --language, BIFROST_LANGUAGE, the locale."""
    chosen = environment.get("BIFROST_LANGUAGE", "auto")
    for place, argument in enumerate(arguments):
        if argument == "--language" and place + 1 < len(arguments):
            chosen = arguments[place + 1]
        elif argument.startswith("--language="):
            chosen = argument.partition("=")[2]
    if chosen in ("en", "ko"):
        environment["LANGUAGE"] = chosen
    catalogue.bindtextdomain("bifrost", str(Path(__file__).parent.parent / "locale"))
    catalogue.textdomain("bifrost")


def program() -> click.Group:
    @click.group(
        cls=LazyGroup,
        name="bifrost",
        help=_("Turns raw logs into a cited root cause: offline first, with any model, at any size.")
        + "\n\n"
        + "\b\n"
        + _("Examples:")
        + f"\n{EXAMPLES}",
        epilog=_("`bifrost COMMAND --help` explains each command with examples."),
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
        invoke_without_command=True,
    )
    @click.version_option(package_name="bifrost-logs", prog_name="bifrost", message="%(prog)s %(version)s")
    @click.pass_context
    def bifrost(context: click.Context) -> None:
        if context.invoked_subcommand is not None:
            return
        if sys.stdin is not None and not sys.stdin.isatty():
            raise click.UsageError(_("No command given. Did you mean `bifrost analyze -`?"))
        click.echo(context.get_help())
        context.exit(2)

    return bifrost


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line and leaves the process with the exit code of `outcomes.ExitCode`."""
    given = sys.argv[1:] if arguments is None else arguments
    open_closed_streams()
    speak(given, os.environ)  # type: ignore[arg-type]
    try:
        result = program().main(args=given, prog_name="bifrost", standalone_mode=False)
        code = result if isinstance(result, int) else 0
        sys.stdout.flush()
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.ClickException as error:
        code = error.exit_code
        with suppress(OSError):
            error.show()
    except (click.Abort, KeyboardInterrupt):
        code = 130
        with suppress(OSError):
            click.echo(_("Interrupted."), err=True)
    except (BrokenPipeError, SystemExit):
        # Click exits with 1, which means --fail-on here, where the reader of its output is gone.
        code = 0
    except Exception as error:  # noqa: BLE001  # the last stop: everything becomes an exit code and a message
        code = _failed(error)
    _leave(code)


def _failed(error: Exception) -> int:
    from bifrost_domain.errors import BifrostError
    from bifrost_entrypoints.cli.output import complain
    from bifrost_entrypoints.outcomes import ExitCode, outcome

    if isinstance(error, BifrostError):
        with suppress(OSError):
            complain(error)
        return outcome(error).exit
    if os.environ.get("BIFROST_TRACEBACK"):
        raise error
    with suppress(OSError):
        click.echo(
            _("Error: bifrost met a bug: {kind} in {place}. Set BIFROST_TRACEBACK=1 to see where.").format(
                kind=type(error).__name__, place=_innermost(error)
            ),
            err=True,
        )
    return ExitCode.BUG


def _innermost(error: Exception) -> str:
    trace: Any = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "?"


def _leave(code: int) -> None:
    """Ends the process. The last flush of a stream that takes no more (`| head -1`, a full disk) must not fail."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)


def open_closed_streams() -> None:
    """Takes the numbers of closed standard streams, so that no file of ours (the database) gets them and is written to.

    As in gnulib's `stdopen`, what is printed to a stdout that was closed fails; what is said on stderr is lost.
    """
    for name, flags in (("stdin", os.O_WRONLY), ("stdout", os.O_RDONLY), ("stderr", os.O_WRONLY)):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, flags)
            if name != "stdin":
                setattr(sys, name, os.fdopen(descriptor, "w"))
