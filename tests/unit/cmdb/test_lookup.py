"""Names that exist, and names that do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.orm import Session

from drcloud.cmdb import lookup
from drcloud.cmdb.declared import Release
from drcloud.cmdb.store import Store
from drcloud.errors import NotFoundError


def test_found(filled: Store) -> None:
    with filled.read() as session:
        assert lookup.host(session, "dk-01").serial == "SN-1"
        app = lookup.app(session, "demo")
        assert lookup.spec(session, app).document["port"] == 8080
        assert lookup.environment(session, "qa").name == "qa"
        assert lookup.registry(session, "main").port == 5000
        assert [member.host.name for member in lookup.placement(session, "demo", "prod").members] == [
            "dk-02",
            "dk-01",
        ]


@pytest.mark.parametrize(
    ("find", "message"),
    [
        (lambda s: lookup.host(s, "dk-1"), "there is no host 'dk-1' in the CMDB: did you mean dk-0"),
        (
            lambda s: lookup.host(s, "zzz"),
            "there is no host 'zzz' in the CMDB: `drcloud cmdb show host` lists",
        ),
        (lambda s: lookup.app(s, "dmeo"), "there is no app 'dmeo' in the CMDB: did you mean demo?"),
        (
            lambda s: lookup.environment(s, "prd"),
            "there is no environment 'prd' in the CMDB: did you mean prod?",
        ),
        (lambda s: lookup.registry(s, "mian"), "there is no registry 'mian' in the CMDB: did you mean main?"),
        (lambda s: lookup.placement(s, "demo", "qa"), "app demo has no placement in qa: add one"),
        (lambda s: lookup.placement(s, "demo", "prd"), "there is no environment 'prd'"),
        (
            lambda s: lookup.release(s, lookup.app(s, "demo"), "v9"),
            "app demo has no release 'v9': build it with `drcloud build demo --tag v9`",
        ),
    ],
)
def test_not_found(filled: Store, find: Callable[[Session], Any], message: str) -> None:
    with filled.read() as session, pytest.raises(NotFoundError) as caught:
        find(session)
    assert str(caught.value).startswith(message)


def test_the_newest_release_of_a_tag(filled: Store) -> None:
    with filled.write(reason="builds") as session:
        app = lookup.app(session, "demo")
        for digit in "12":
            session.add(Release(app=app, tag="latest", digest="sha256:" + digit * 64))
            session.flush()
        assert lookup.release(session, app, "latest").digest == "sha256:" + "2" * 64
        with pytest.raises(NotFoundError, match="did you mean latest"):
            lookup.release(session, app, "lates")
