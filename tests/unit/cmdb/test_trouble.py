"""What a database refuses is one sentence about the CMDB with exit code 20, and no bug."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from psycopg import errors
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

from drcloud.cmdb.store import Store
from drcloud.cmdb.trouble import translated
from drcloud.errors import CmdbError

Command = Callable[..., tuple[int, str, str]]
POSTGRESQL = make_url("postgresql+psycopg://ops@db/cmdb")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            errors.ReadOnlySqlTransaction("cannot execute INSERT in a read-only transaction"),
            "is not writable",
        ),
        (
            errors.InsufficientPrivilege("permission denied for table host"),
            "denies this user that, as to write",
        ),
    ],
)
def test_a_postgresql_that_takes_no_writes(error: Exception, said: str) -> None:
    with pytest.raises(CmdbError, match=rf"^CMDB .* {said}.*\({error}\)$") as raised, translated(POSTGRESQL):
        raise DBAPIError("INSERT", None, error)
    assert int(raised.value.exit_code) == 20


def test_an_sqlite_file_that_takes_no_writes(
    drcloud: Command, filled: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///file:{tmp_path}/cmdb.sqlite3?mode=ro&uri=true"
    monkeypatch.setattr("drcloud.cmdb.store._require_file", lambda _url: None)
    monkeypatch.setenv("DRCLOUD_CMDB_URL", url)
    assert drcloud("cmdb", "show", "host", "dk-01")[0] == 0
    for words in (("set", "host", "dk-01", "asset_tag=A"), ("delete", "schedule", "nightly", "--yes")):
        code, _, err = drcloud("cmdb", *words)
        assert code == 20
        assert "is not writable; check the permissions of the file and its directory" in err
