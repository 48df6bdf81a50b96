"""What a daemon.json needs of the engine, and which options an engine refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.dianrong.cloud.plugins.module_utils import _daemon

HELP_20_10 = (Path(__file__).parent / "recorded" / "dockerd-20.10-help.txt").read_text(encoding="utf-8")
BASE = {"live-restore": True, "log-driver": "journald"}
EXEC_START = (
    "{ path=/usr/sbin/dockerd ; argv[]=/usr/sbin/dockerd -H fd:// "
    "--containerd=/run/containerd/containerd.sock $DOCKER_OPTS ; ignore_errors=no ; pid=0 ; status=0/0 }"
)


def plan(wanted, current=None, applied=None, *, active=True, unit_changed=False):
    text = _daemon.render(current) if isinstance(current, dict) else current
    return _daemon.plan(wanted, text, applied, active, unit_changed=unit_changed)


def test_nothing_to_do_when_file_and_engine_have_the_options():
    done = plan(BASE, BASE, BASE)
    assert (done.rewrite, done.action, done.reasons) == (False, "none", ())


def test_another_layout_of_the_same_options_is_left_alone():
    text = json.dumps(BASE)
    done = plan(BASE, text, BASE)
    assert not done.rewrite
    assert done.content == text


def test_a_stopped_engine_is_started_whatever_the_file_says():
    assert plan(BASE, BASE, None, active=False).action == "start"
    assert plan(BASE, None, None, active=False).rewrite


@pytest.mark.parametrize(
    ("key", "value", "action"),
    [
        ("debug", True, "reload"),
        ("labels", ["rack=a01"], "reload"),
        ("registry-mirrors", ["https://mirror.example.org"], "reload"),
        ("max-concurrent-downloads", 1, "reload"),
        ("log-opts", {"tag": "x"}, "restart"),
        ("mtu", 1450, "restart"),
        ("storage-driver", "overlay2", "restart"),
    ],
)
def test_a_reload_where_it_is_enough_and_a_restart_only_where_needed(key, value, action):
    done = plan({**BASE, key: value}, BASE, BASE)
    assert done.action == action
    assert done.rewrite
    need = "a reload is enough" if action == "reload" else "needs a restart"
    assert done.reasons == (f"{key}: unset -> {json.dumps(value)}: {need}",)


def test_one_option_that_needs_a_restart_makes_it_a_restart_and_both_are_named():
    done = plan({**BASE, "debug": True, "mtu": 1450}, BASE, BASE)
    assert done.action == "restart"
    assert [reason.split(":")[0] for reason in done.reasons] == ["debug", "mtu"]


def test_a_removed_option_is_noticed():
    done = plan(BASE, {**BASE, "mtu": 1450}, {**BASE, "mtu": 1450})
    assert done.action == "restart"
    assert done.reasons == ("mtu: 1450 -> unset: needs a restart",)
    assert json.loads(done.content) == BASE


@pytest.mark.parametrize(("key", "action"), [("debug", "restart"), ("max-concurrent-downloads", "reload")])
def test_an_option_that_is_removed_goes_with_a_reload_only_where_the_engine_resets_it(key, action):
    before = {**BASE, key: 1}
    assert plan(BASE, before, before).action == action


def test_containers_are_protected_before_the_first_restart():
    assert plan(BASE, {}, {}).reload_first
    assert not plan(BASE, BASE, {"live-restore": True}).reload_first


def test_a_file_that_the_engine_did_not_take_over_yet_is_completed():
    """A run was killed after it wrote the file: the file is right, the engine is not."""
    done = plan(BASE, BASE, {"live-restore": True})
    assert (done.rewrite, done.action) == (False, "restart")


def test_an_engine_of_which_nobody_knows_what_it_loaded_is_restarted():
    done = plan(BASE, BASE, None)
    assert done.action == "restart"
    assert "nothing shows" in done.reasons[0]


def test_a_changed_unit_is_a_reason_to_restart():
    assert plan(BASE, BASE, BASE, unit_changed=True).action == "restart"


def test_a_broken_file_is_replaced():
    done = plan(BASE, "{ not json", BASE)
    assert done.rewrite
    assert json.loads(done.content) == BASE


def test_the_engine_tells_its_options_in_its_help():
    known = _daemon.known_options(HELP_20_10)
    assert {"log-driver", "log-opts", "live-restore", "insecure-registries", "runtimes", "features"} <= set(
        known
    )
    assert not {"help", "version", "config-file", "log-opt", "label"} & set(known)
    assert known["live-restore"] == "bool"
    assert known["mtu"] == "int"
    assert not _daemon.can_validate(HELP_20_10)
    assert _daemon.can_validate(HELP_20_10 + "      --validate     Validate daemon configuration and exit\n")


def test_all_options_of_our_roles_are_known_to_the_oldest_engine():
    options = {**BASE, "userland-proxy": False, "icc": False, "no-new-privileges": True}
    assert complaints(options) == []


def complaints(options):
    given = _daemon.given_flags(EXEC_START)
    return _daemon.complaints(options, _daemon.known_options(HELP_20_10), given, "20.10.24")


def test_an_unknown_option_is_refused_by_name():
    assert complaints({"live-restor": True}) == [
        "option 'live-restor' is not known to Docker Engine 20.10.24"
    ]


def test_an_option_of_a_newer_engine_is_refused_by_an_older_one():
    assert complaints({"allow-direct-routing": True}) == [
        "option 'allow-direct-routing' is not known to Docker Engine 20.10.24"
    ]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"live-restore": "yes"}, "option 'live-restore' must be true or false, not 'yes'"),
        ({"mtu": "1450"}, "option 'mtu' must be a number, not '1450'"),
        ({"mtu": True}, "option 'mtu' must be a number, not True"),
        ({"labels": "rack=a01"}, "option 'labels' must be a list, not 'rack=a01'"),
        ({"log-opts": ["tag=x"]}, "option 'log-opts' must be a map, not ['tag=x']"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(options, expected):
    assert complaints(options) == [expected]


def test_an_option_that_the_unit_sets_already_is_refused():
    (said,) = complaints({"hosts": ["tcp://0.0.0.0:2375"]})
    assert said.startswith("option 'hosts' is set by the unit's command line already")


def test_the_running_engine_has_to_show_what_was_asked_for():
    info = {"LiveRestoreEnabled": False, "LoggingDriver": "journald"}
    assert _daemon.not_honoured(BASE, info) == [
        "option 'live-restore' is True in daemon.json, but the running engine has False"
    ]
    assert _daemon.not_honoured(BASE, {"LiveRestoreEnabled": True, "LoggingDriver": "journald"}) == []
