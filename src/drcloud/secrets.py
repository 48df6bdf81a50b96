"""References to secrets: the CMDB stores where a secret is, the controller reads it when it is used."""

from __future__ import annotations

import os
import re
from pathlib import Path

from drcloud.errors import InvalidInputError

VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))", re.ASCII)
SCHEMES = ("env", "file")


def resolve(reference: str) -> str:
    """Return the secret that ``env:NAME`` or ``file:PATH`` points at.

    A path may hold ``${NAME}`` and a leading ``~``. One line end at the end of a file is not part of
    the secret. Raises InvalidInputError, which names the reference and never shows a value.
    """
    scheme, separator, target = reference.partition(":")
    if not separator or scheme not in SCHEMES or not target:
        # What stands here may be the secret itself, written in the wrong place: never repeat it.
        raise InvalidInputError("a secret is given as env:NAME or file:PATH, and this reference is neither")
    return _from_environment(reference, target) if scheme == "env" else _from_file(reference, target)


def expand(text: str, subject: str) -> str:
    """Fill in ``${NAME}`` from the environment and a leading ``~``; an unset variable is an error.

    ``subject`` is what the text is, for the message: ``option ssh.directory``.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name not in os.environ:
            raise InvalidInputError(f"{subject}: the environment variable {name} is not set (in {text!r})")
        return os.environ[name]

    # Not through Path: the text may be a URL, in which slashes count.
    return os.path.expanduser(VARIABLE.sub(value, text))


def _from_environment(reference: str, name: str) -> str:
    secret = os.environ.get(name)
    if not secret:
        state = "not set" if secret is None else "empty"
        raise InvalidInputError(f"secret {reference}: the environment variable {name} is {state}")
    return secret


def _from_file(reference: str, target: str) -> str:
    path = Path(expand(target, f"secret {reference}"))
    try:
        secret = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidInputError(f"secret {reference}: cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"secret {reference}: {path} is not a text file in UTF-8") from error
    secret = secret.removesuffix("\n").removesuffix("\r")
    if not secret:
        raise InvalidInputError(f"secret {reference}: {path} is empty")
    return secret
