"""What handshakes with an engine's listeners prove."""

from __future__ import annotations

import pytest

from ansible_collections.dianrong.cloud.plugins.plugin_utils import _listeners
from ansible_collections.dianrong.cloud.plugins.plugin_utils._probe import Target

HOST = "10.90.0.11"


def listener(port, address=HOST, owner="dockerd", published=False):
    return {"address": address, "port": port, "owner": owner, "published": published}


def seen(*listeners, engine="present", units=()):
    return {"engine": engine, "listeners": list(listeners), "socket_units": list(units)}


def unit(port):
    return {"unit": "docker.socket", "listen": [f"0.0.0.0:{port} (Stream)", "/run/docker.sock (Stream)"]}


def answer(port, state, source="the controller", address=HOST):
    return {"source": source, "address": address, "port": port, "state": state, "detail": "as it was"}


SHUT = [answer(2376, "certificate-required"), answer(2375, "closed")]


def test_every_listener_of_the_engine_is_a_target_and_so_are_its_usual_ports():
    found = _listeners.targets(
        seen(
            listener(2376), listener(4243, "0.0.0.0"), listener(4244, "127.0.0.1"),
            listener(20000, "0.0.0.0", published=True), units=[unit(4245)],
        ),
        HOST,
    )  # fmt: skip
    assert found == [Target(HOST, port) for port in (2375, 2376, 4243, 4245)]


def test_a_stopped_engine_is_not_woken():
    assert _listeners.targets(seen(engine="stopped", units=[unit(2375)]), HOST) == [Target(HOST, 2376)]


@pytest.mark.parametrize(
    ("state", "words"), [("open", "lets in anybody"), ("open-tls", "in TLS without a client certificate")]
)
def test_a_stranger_who_gets_in_is_a_failure_wherever_he_came_from(state, words):
    made = [*SHUT, answer(2376, state, source="dk-01")]
    (said,) = _listeners.objections(seen(listener(2376)), made, [2376])
    assert words in said
    assert "tcp://10.90.0.11:2376" in said
    assert "tried from dk-01" in said


def test_an_open_port_that_is_not_the_engines_counts_as_well():
    assert _listeners.objections(seen(), [answer(2375, "open")], [])


def test_a_declared_listener_that_asks_for_certificates_is_proved():
    assert _listeners.objections(seen(listener(2376)), SHUT, [2376]) == []


def test_nothing_on_the_network_is_proved_as_well():
    made = [answer(2375, "closed"), answer(2376, "closed")]
    assert _listeners.objections(seen(), made, []) == []
    published = listener(20000, "0.0.0.0", published=True)
    assert _listeners.objections(seen(published), made, []) == []


def test_a_listener_that_nobody_declared_is_a_failure_even_when_it_is_shut():
    (said,) = _listeners.objections(seen(listener(2376)), SHUT, [])
    assert said == "the engine listens on tcp 2376, where nobody declared it"
    assert _listeners.objections(seen(listener(9323)), [], [], others=[9323]) == []


def test_a_systemd_unit_that_opens_a_port_for_the_engine_is_a_listener():
    assert "tcp 2375" in _listeners.objections(seen(units=[unit(2375)]), [], [])[0]


def test_a_declared_listener_that_is_not_there_is_a_failure():
    assert _listeners.objections(seen(), [answer(2376, "closed")], [2376]) == [
        "the Remote API does not listen on tcp 2376"
    ]


@pytest.mark.parametrize("state", ["undecided", "not-docker"])
def test_what_a_handshake_leaves_open_is_a_failure(state):
    made = [answer(2376, "certificate-required", source="dk-01"), answer(2376, state)]
    (said,) = _listeners.objections(seen(listener(2376)), made, [2376])
    assert "does not show that it asks for a certificate" in said
    assert state in said


def test_that_nobody_came_through_proves_nothing():
    made = [answer(2376, "unreachable"), answer(2376, "closed")]
    (said,) = _listeners.objections(seen(listener(2376)), made, [2376])
    assert said.startswith("nobody came through to tcp 2376")


def test_a_neighbour_is_shut_out_or_says_why_not():
    assert _listeners.undecided([answer(2376, "unreachable"), answer(2375, "not-docker")], [2376]) == []
    said = _listeners.undecided([answer(2376, "undecided"), answer(2375, "open")], [2376])
    assert ["does not show" in said[0], "lets in anybody" in said[1]] == [True, True]


@pytest.mark.parametrize(
    ("playing", "engines", "serving", "expected"),
    [
        (["dk-01", "dk-02", "dk-03"], ["dk-01", "dk-02", "dk-03"], [], "dk-03"),
        # The last one begins again, and a host that has no engine knocks only where nobody else does.
        (["dk-02", "dk-01", "lb-01"], ["dk-01", "dk-02"], [], "dk-01"),
        (["dk-02", "lb-01"], ["dk-02"], ["dk-02", "lb-01"], "lb-01"),
        # A run that is limited to one host: an engine that is in service.
        (["dk-02"], ["dk-01", "dk-02", "dk-04", "dk-05"], ["dk-01", "dk-05", "lb-01"], "dk-05"),
        (["dk-02"], ["dk-02", "dk-03"], ["dk-02"], ""),
        (["dk-02"], ["dk-02"], ["dk-02"], ""),
    ],
)
def test_another_host_knocks_as_well_where_there_is_one(playing, engines, serving, expected):
    assert _listeners.neighbour("dk-02", playing, engines, serving) == expected


def test_no_host_knocks_for_a_whole_fleet():
    fleet = [f"dk-{number:02}" for number in range(50)]
    assert {_listeners.neighbour(host, fleet, fleet, ()) for host in fleet} == set(fleet)
