"""The border of the command: an error becomes one sentence and an exit code, a bug a report file."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback

import typer

from drcloud.errors import DrcloudError
from drcloud.exitcodes import ExitCode

INTERRUPTED = 130  # what typer makes of Ctrl-C


def guarded(app: typer.Typer) -> int:
    """Run the command tree and return the exit code of the contract, whatever happens."""
    try:
        result = app(standalone_mode=False)
    except DrcloudError as error:
        return _say(str(error), error.exit_code)
    except typer.Exit as leaving:
        return leaving.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return _say("cancelled", ExitCode.CANCELLED)
    except typer.TyperException as misuse:
        return _misused(misuse)
    except BrokenPipeError:
        # The reader (head, less) has left: nothing to tell anybody, and flushing would raise again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    except Exception:
        return _say(f"internal error, please report it with the file {_report()}", ExitCode.INTERNAL)
    if result == INTERRUPTED:
        return _say("cancelled", ExitCode.CANCELLED)
    return result if isinstance(result, int) else ExitCode.OK


def _say(message: str, code: ExitCode) -> int:
    typer.secho(f"drcloud: {message}", err=True, fg=typer.colors.RED if sys.stderr.isatty() else None)
    return code


def _misused(misuse: typer.TyperException) -> int:
    """Show the usage and what is wrong with it, or the help where nothing was asked for."""
    if not misuse.format_message():  # no command was named: the help has been printed
        return ExitCode.INVALID_INPUT
    if context := getattr(misuse, "ctx", None):
        typer.echo(f"{context.get_usage()}\nTry `{context.command_path} --help`.", err=True)
    return _say(misuse.format_message(), ExitCode.INVALID_INPUT)


def _report() -> str:
    with tempfile.NamedTemporaryFile("w", prefix="drcloud-bug-", suffix=".txt", delete=False) as report:
        report.write(traceback.format_exc())
    return report.name
