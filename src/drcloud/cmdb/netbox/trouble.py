"""What can go wrong with a NetBox; every sentence names the endpoint and, where there is one, the object."""

from __future__ import annotations

from drcloud.errors import DrcloudError
from drcloud.exitcodes import ExitCode


class NetboxDeniedError(DrcloudError):
    """NetBox refuses the token, or the token may not see what is asked for."""

    exit_code = ExitCode.DENIED


class NetboxIncompleteError(DrcloudError):
    """What came is not all there is, or makes no sense: nothing may be concluded from it."""

    exit_code = ExitCode.INCOMPLETE


class ShiftedError(NetboxIncompleteError):
    """NetBox changed while it was read; reading again may help."""
