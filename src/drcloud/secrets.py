"""References to secrets: the CMDB stores where a secret is, the controller reads it when it is used."""

from __future__ import annotations

import os
import re
from pathlib import Path

from drcloud import vault
from drcloud.errors import InvalidInputError

VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))", re.ASCII)
REFERENCE = re.compile(r"(?:env|file):\S.*|vault:[^\s#][^#]*#\S+")


def require_reference(text: str) -> str:
    """Return a reference; ValueError for what is none, which may be the secret itself: never repeat it."""
    if not REFERENCE.fullmatch(text):
        raise ValueError(
            "must be a reference, env:NAME or file:PATH or vault:FILE#KEY, never the secret itself"
        )
    return text


def resolve(reference: str) -> str:
    """Return the secret that ``env:NAME``, ``file:PATH`` or ``vault:FILE#KEY`` points at.

    A path may hold ``${NAME}`` and a leading ``~``. One line end at the end of a file is not part of
    the secret. Raises InvalidInputError, which names the reference and never shows a value.
    """
    scheme, separator, target = reference.partition(":")
    read = READERS.get(scheme)
    if not separator or read is None or not target or (scheme == "vault" and "#" not in target):
        # What stands here may be the secret itself, written in the wrong place: never repeat it.
        raise InvalidInputError(
            "a secret is given as env:NAME or file:PATH or vault:FILE#KEY, and this reference is none of them"
        )
    return read(reference, target)


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


def _from_vault(reference: str, target: str) -> str:
    name, _, key = target.rpartition("#")
    subject = f"secret {reference}"
    secret = vault.read(Path(expand(name, subject)), key, subject)
    if not secret:
        raise InvalidInputError(f"{subject}: it is empty")
    return secret


READERS = {"env": _from_environment, "file": _from_file, "vault": _from_vault}
