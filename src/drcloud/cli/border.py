"""The border of the command: an error becomes one sentence and an exit code, a bug a report file."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback

import click
import typer

from drcloud.errors import DrcloudError
from drcloud.exitcodes import ExitCode


def guarded(app: typer.Typer) -> int:
    """Run the command tree and return the exit code of the contract, whatever happens."""
    try:
        result = app(standalone_mode=False)
    except DrcloudError as error:
        return _say(str(error), error.exit_code)
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except (click.exceptions.Abort, KeyboardInterrupt):
        return _say("cancelled", ExitCode.CANCELLED)
    except click.ClickException as error:
        error.show()
        return ExitCode.INVALID_INPUT
    except BrokenPipeError:
        # The reader (head, less) has left: nothing to tell anybody, and flushing would raise again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    except Exception:
        return _say(f"internal error, please report it with the file {_report()}", ExitCode.INTERNAL)
    return result if isinstance(result, int) else ExitCode.OK


def _say(message: str, code: ExitCode) -> int:
    typer.secho(f"drcloud: {message}", err=True, fg=typer.colors.RED if sys.stderr.isatty() else None)
    return code


def _report() -> str:
    with tempfile.NamedTemporaryFile("w", prefix="drcloud-bug-", suffix=".txt", delete=False) as report:
        report.write(traceback.format_exc())
    return report.name
