"""What a daemon.json needs of the engine, and which options an engine refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.dianrong.cloud.plugins.module_utils import _daemon

RECORDED = Path(__file__).parent / "recorded"
HELP_20_10, HELP_26_1 = (
    (RECORDED / f"dockerd-{version}-help.txt").read_text(encoding="utf-8") for version in ("20.10", "26.1")
)
BASE = {"live-restore": True, "log-driver": "journald"}
EXEC_START = (
    "{ path=/usr/sbin/dockerd ; argv[]=/usr/sbin/dockerd -H fd:// "
    "--containerd=/run/containerd/containerd.sock $DOCKER_OPTS ; ignore_errors=no ; pid=0 ; status=0/0 }"
)


def plan(wanted, current=None, applied=None, *, active=True, because=()):
    text = _daemon.render(current) if isinstance(current, dict) else current
    return _daemon.plan(wanted, text, applied, active, because)


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


def test_an_engine_learns_of_live_restore_and_of_nothing_else_before_it_restarts():
    loaded = {"log-driver": "json-file", "mtu": 1450}
    assert _daemon.protected({**BASE, "hosts": ["fd://"]}, loaded) == {**loaded, "live-restore": True}
    assert _daemon.protected(BASE, None) == {"live-restore": True}
    assert _daemon.protected({"log-driver": "journald"}, loaded) is None


def test_a_file_that_the_engine_did_not_take_over_yet_is_completed():
    """A run was killed after it wrote the file: the file is right, the engine is not."""
    done = plan(BASE, BASE, {"live-restore": True})
    assert (done.rewrite, done.action) == (False, "restart")


def test_an_engine_of_which_nobody_knows_what_it_loaded_is_restarted():
    done = plan(BASE, BASE, None)
    assert done.action == "restart"
    assert "nothing shows" in done.reasons[0]


def test_what_the_engine_read_when_it_started_is_a_reason_to_restart_when_it_changes():
    done = plan({**BASE, "debug": True}, BASE, BASE, because=("the unit changed: needs a restart",))
    assert done.action == "restart"
    assert done.reasons == (
        "debug: unset -> true: a reload is enough",
        "the unit changed: needs a restart",
    )
    assert plan(BASE, BASE, BASE, active=False, because=("the unit changed",)).action == "start"


def test_files_that_are_new_gone_or_other_than_the_engine_read_are_newer():
    recorded = {"/a": "1", "/b": "2", "/c": "3"}
    assert _daemon.newer_files(recorded, {"/a": "1", "/b": "x", "/d": "4"}) == ["/b", "/c", "/d"]
    assert _daemon.newer_files(recorded, recorded) == []


def test_a_broken_file_is_replaced():
    done = plan(BASE, "{ not json", BASE)
    assert done.rewrite
    assert json.loads(done.content) == BASE


def test_the_engine_tells_its_options_in_its_help():
    known = _daemon.known_options(HELP_20_10)
    assert not {"proxies", "default-network-opts"} & set(known)
    assert {"log-driver", "log-opts", "live-restore", "insecure-registries", "runtimes", "features"} <= set(
        known
    )
    assert not {"help", "version", "config-file", "log-opt", "label"} & set(known)
    assert known["live-restore"] == "bool"
    assert known["mtu"] == "int"
    assert not _daemon.can_validate(HELP_20_10)


def test_a_newer_engine_tells_more_options_and_judges_them_itself():
    known = _daemon.known_options(HELP_26_1)
    assert {"cdi-spec-dirs", "default-network-opts", "proxies", "log-format"} <= set(known)
    assert not {"validate", "http-proxy", "https-proxy", "no-proxy"} & set(known)
    assert _daemon.can_validate(HELP_26_1)


@pytest.mark.parametrize(("help_text", "version"), [(HELP_20_10, "20.10.24"), (HELP_26_1, "26.1.5")])
def test_all_options_of_our_roles_are_known_to_both_engines(help_text, version):
    options = {**BASE, "userland-proxy": False, "icc": False, "no-new-privileges": True}
    network = {"bip": "172.17.0.1/16", "mtu": 1450, "default-address-pools": [{"base": "x", "size": 24}]}
    tls = {"tlsverify": True, "tlscacert": "/ca", "tlscert": "/c", "tlskey": "/k", "data-root": "/srv/docker"}
    assert complaints({**options, **network, **tls, "dns": ["10.0.0.1"]}, help_text, version) == []


def test_what_a_newer_engine_takes_and_silently_ignores_is_refused():
    """Tried on 26.1: `dockerd --validate` says "configuration OK" to both."""
    assert complaints({"http-proxy": "http://p:3128"}, HELP_26_1, "26.1.5") == [
        "option 'http-proxy' is not known to Docker Engine 26.1.5"
    ]
    assert complaints({"hello": {"debug": True}}, HELP_26_1, "26.1.5") == [
        "option 'hello' is not known to Docker Engine 26.1.5"
    ]
    assert complaints({"proxies": {"http-proxy": "http://p:3128"}}, HELP_26_1, "26.1.5") == []


def complaints(options, help_text=HELP_20_10, version="20.10.24"):
    given = _daemon.given_flags(EXEC_START)
    return _daemon.complaints(options, _daemon.known_options(help_text), given, version)


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


def test_flags_in_the_defaults_of_the_unit_count_as_well():
    assert _daemon.given_flags('DOCKER_OPTS="--dns 8.8.8.8 -H tcp://0.0.0.0:2375"') == {"dns", "hosts"}


TLS = {"tlsverify": True, "tlscacert": "/ca.pem", "tlscert": "/tls.pem", "tlskey": "/tls.pem"}
REMOTE = {"hosts": ["fd://", "tcp://10.90.0.11:2376"]}


def test_a_listener_that_asks_for_no_certificate_is_refused():
    assert _daemon.exposures({**REMOTE, **TLS}) == []
    for lost in TLS:
        options = {**REMOTE, **{key: value for key, value in TLS.items() if key != lost}}
        (said,) = _daemon.exposures(options)
        assert said.startswith("option 'hosts' opens tcp://10.90.0.11:2376 to everybody")
    (said,) = _daemon.exposures({**REMOTE, **TLS, "tlsverify": False})
    assert "to everybody" in said


@pytest.mark.parametrize("host", ["0.0.0.0:2375", ":2375", "tcp://:2375", " 10.90.0.11:2375", "TCP://:2375"])
def test_an_address_without_a_scheme_is_one_of_tcp(host):
    (said,) = _daemon.exposures({"hosts": ["fd://", host]})
    assert said.startswith(f"option 'hosts' opens {host} to everybody")


def test_an_engine_without_its_local_socket_is_refused():
    assert _daemon.exposures({"hosts": ["tcp://10.90.0.11:2376"], **TLS}) == [
        "option 'hosts' leaves the engine without its local socket: add fd://"
    ]
    assert _daemon.exposures({"hosts": ["unix:///run/docker.sock"]}) == []


def test_certificates_are_what_the_engine_reads_only_when_it_starts():
    assert _daemon.start_files({**BASE, **TLS}) == ["/ca.pem", "/tls.pem", "/tls.pem"]
    assert _daemon.without_tls({**BASE, **REMOTE, **TLS}) == BASE
