"""The border of the command: an error becomes one sentence and an exit code, a bug a report file."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import traceback

import typer

from drcloud.errors import DrcloudError
from drcloud.exitcodes import ExitCode

INTERRUPTED = 130  # what typer makes of Ctrl-C
# Where output goes there is no room for it.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def guarded(app: typer.Typer) -> int:
    """Run the command tree and return the exit code of the contract, whatever happens."""
    try:
        result = app(standalone_mode=False)
        sys.stdout.flush()
    except DrcloudError as error:
        return _say(str(error), error.exit_code)
    except typer.Exit as leaving:
        return leaving.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return _say("cancelled", ExitCode.CANCELLED)
    except typer.TyperException as misuse:
        return _misused(misuse)
    except OSError as error:
        return _unwritten(error)
    except Exception:
        return _bug()
    if result == INTERRUPTED:
        return _say("cancelled", ExitCode.CANCELLED)
    return result if isinstance(result, int) else ExitCode.OK


def _unwritten(error: OSError) -> int:
    """Say that there is no room for what is printed; a reader that has left (head, less) need not know."""
    left = isinstance(error, BrokenPipeError)
    if not left and error.errno not in FULL:
        return _bug()
    # Flushing at the end would raise again.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if left:
        return ExitCode.OK
    return _say(f"the output cannot be written: {error.strerror}", ExitCode.INVALID_INPUT)


def _bug() -> int:
    return _say(f"internal error, please report it with the file {_report()}", ExitCode.INTERNAL)


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
