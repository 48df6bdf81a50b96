"""What an upgrade of an engine did to what it carries."""

from __future__ import annotations

import pytest

from ansible_collections.dianrong.cloud.plugins.module_utils import _engine_survey


def container(key, started="2026-11-23T00:00:00Z", running=True):
    return {"Id": key, "Name": f"/name-{key}", "State": {"Running": running, "StartedAt": started}}


def seen(*containers, live=True, networks=("bridge", "apps")):
    listed = [{"Id": f"id-{name}", "Name": name} for name in networks]
    info = {"ServerVersion": "20.10", "LiveRestoreEnabled": live}
    return _engine_survey.survey(info, containers, listed)


BEFORE = container("1"), container("2")


@pytest.mark.parametrize(
    ("after", "damage"),
    [
        (seen(*BEFORE), []),
        (seen(*BEFORE, container("3")), []),
        (seen(container("1")), ["container name-2 does not run any more"]),
        (seen(container("1"), container("2", running=False)), ["container name-2 does not run any more"]),
        (seen(container("1"), container("2", "2026-11-23T01:00:00Z")), ["container name-2 was restarted"]),
        (seen(*BEFORE, networks=("bridge",)), ["network apps is gone"]),
    ],
    ids=["the same", "one more", "gone", "ended", "restarted", "network"],
)
def test_damage_is_named(after, damage):
    assert _engine_survey.damage(seen(*BEFORE), after) == damage


def test_without_live_restore_containers_may_have_been_restarted():
    after = seen(container("1"), container("2", "2026-11-23T01:00:00Z"), live=False)
    assert _engine_survey.damage(seen(*BEFORE, live=False), after) == []
    assert _engine_survey.damage(seen(*BEFORE, live=False), seen(live=False)) == [
        "container name-1 does not run any more",
        "container name-2 does not run any more",
    ]


def test_what_did_not_run_is_not_missed():
    assert seen(container("1", running=False))["containers"] == {}
