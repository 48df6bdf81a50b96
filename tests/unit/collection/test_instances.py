"""The host's half of a roll: fence, health, containers, credentials."""

from __future__ import annotations

import base64
import json
import struct

import pytest

from ansible_collections.dianrong.cloud.plugins.module_utils import _engine, _fence, _health, _instance

SPEC = {
    "port": 8080,
    "env": {"A": "1"},
    "resources": {"memory": "128m", "cpus": 0.5, "pids": 64},
    "read_only": True,
    "user": "10001",
    "cap_add": ["NET_BIND_SERVICE"],
    "stop_signal": "SIGTERM",
    "stop_grace": 10.0,
}
VALUES = {
    "app": "demo",
    "env": "prod",
    "tag": "v1",
    "digest": "sha256:0",
    "revision": "abcdef0123",
    "deployment": "d",
    "slot": "a",
}
HEALTH = {
    "path": "/healthz",
    "interval": 1.0,
    "timeout": 2.0,
    "retries": 3,
    "start_period": 10.0,
    "min_healthy": 2.0,
}


def test_a_newer_token_shuts_an_older_one_out(tmp_path):
    with _fence.held("demo@prod", 5, str(tmp_path)):
        pass
    with pytest.raises(_fence.FencedError, match="token 5"), _fence.held("demo@prod", 4, str(tmp_path)):
        raise AssertionError("must not act")
    with _fence.held("demo@prod", 5, str(tmp_path)):
        pass
    with _fence.held("demo@qa", 1, str(tmp_path)):
        pass


def test_a_person_is_not_fenced_out_and_leaves_no_token(tmp_path):
    with _fence.held("demo@prod", 5, str(tmp_path)):
        pass
    with _fence.held("demo@prod", 0, str(tmp_path)):
        pass
    assert (tmp_path / "demo@prod").read_text() == "5\n"


def test_a_check_writes_nothing(tmp_path):
    with _fence.held("demo@prod", 5, str(tmp_path / "none"), dry=True):
        pass
    assert list(tmp_path.iterdir()) == []


def test_healthy_only_after_a_time_without_a_break():
    watch = _health.Watch(HEALTH, 0.0)
    assert not watch.see(None, 1.0)
    assert not watch.see("HTTP 503", 2.0)
    assert not watch.see(None, 3.0)
    assert not watch.see(None, 4.9)
    assert watch.see(None, 5.0)


def test_failures_count_only_after_the_start_period():
    watch = _health.Watch(HEALTH, 0.0)
    for now in (1, 2, 3, 9.9):
        assert not watch.see("refused", now)
    with pytest.raises(_health.UnhealthyError, match="not healthy after 10 s: refused"):
        watch.see("refused", 10.0)


def test_one_that_comes_and_goes_is_given_up():
    watch = _health.Watch(HEALTH, 0.0)
    with pytest.raises(_health.UnhealthyError):
        for second in range(100):
            watch.see(None if second % 2 else "HTTP 500", float(second))


def test_a_container_has_only_the_rights_that_are_asked_for():
    marks = _instance.labels("lab", **VALUES)
    made = _instance.payload(
        "r:5000/demo@sha256:0", SPEC, marks, {"address": "10.0.0.1", "port": 20000}, "dk-01"
    )
    host = made["HostConfig"]
    assert (host["CapDrop"], host["CapAdd"]) == (["ALL"], ["NET_BIND_SERVICE"])
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["ReadonlyRootfs"]
    assert "/tmp" in host["Tmpfs"]
    assert host["PortBindings"] == {"8080/tcp": [{"HostIp": "10.0.0.1", "HostPort": "20000"}]}
    assert (host["Memory"], host["NanoCpus"], host["PidsLimit"]) == (128 * 1024**2, 500_000_000, 64)
    assert "DRCLOUD_HOST=dk-01" in made["Env"]
    assert "DRCLOUD_SLOT=a" in made["Env"]
    assert "A=1" in made["Env"]


def test_the_apps_own_variable_wins():
    marks = _instance.labels("lab", **VALUES)
    found = _instance.environment({"env": {"DRCLOUD_HOST": "mine"}}, marks, "dk-01")
    assert "DRCLOUD_HOST=mine" in found
    assert "DRCLOUD_HOST=dk-01" not in found


@pytest.mark.parametrize(("text", "size"), [("512", 512), ("4k", 4096), ("1m", 1024**2), ("2g", 2 * 1024**3)])
def test_sizes(text, size):
    assert _instance.size(text) == size


def container(**changes):
    return {
        "Id": "1",
        "Name": "/demo_prod_a_abcdef01",
        "Created": "2026-11-22T17:00:00Z",
        "Config": {"Labels": _instance.labels("lab", **VALUES)},
        "State": {"Status": "running", "Running": True, "StartedAt": "2026-11-22T17:00:01Z"},
        **changes,
    }


def test_a_container_describes_itself_by_its_labels():
    found = _instance.describe(container())
    assert (found["app"], found["slot"], found["revision"]) == ("demo", "a", "abcdef0123")
    assert (found["name"], found["status"], found["health"]) == ("demo_prod_a_abcdef01", "running", "unknown")


def test_a_container_without_our_labels_is_not_ours():
    assert _instance.describe(container(Config={"Labels": {_instance.MARK: "lab"}})) is None
    assert _instance.describe(container(Config={"Labels": None})) is None


def test_retention_never_touches_what_runs():
    entries = [
        {"name": "new", "status": "running", "created": "4"},
        {"name": "last", "status": "exited", "created": "3"},
        {"name": "older", "status": "exited", "created": "2"},
        {"name": "dead", "status": "dead", "created": "1"},
        {"name": "adopted", "status": "exited", "created": "0", "revision": _instance.ADOPTED},
    ]
    entries = [{"revision": "1", **entry} for entry in entries]
    assert [entry["name"] for entry in _instance.retired(entries, 1)] == ["older", "dead"]
    assert [entry["name"] for entry in _instance.retired(entries, 0)] == ["last", "older", "dead"]


def test_logs_are_unframed():
    frames = [(1, b"one\n"), (2, b"two\n")]
    stream = b"".join(struct.pack(">BxxxL", kind, len(text)) + text for kind, text in frames)
    assert _engine.unframe(stream) == b"one\ntwo\n"
    assert _engine.unframe(stream[:-2]) == b"one\ntw"


def test_lines_before_a_start_are_told_apart():
    lines = [
        "2026-11-22T17:00:00.000000001Z listening",
        "2026-11-22T17:00:20.900000000Z cannot go on",
        "2026-11-22T17:00:21.250000000Z listening again",
    ]
    assert _engine.older(lines, "2026-11-22T17:00:21.1Z") == ["listening", "cannot go on"]
    assert _engine.older(lines, "2026-11-22T17:00:21Z") == ["listening", "cannot go on"]
    # What was before may be beyond reach.
    assert _engine.older(lines[2:], "2026-11-22T17:00:21.1Z") == ["listening again"]


def test_credentials_are_those_of_the_images_registry(tmp_path):
    file = tmp_path / "config.json"
    auth = base64.b64encode(b"drcloud:a:b").decode()
    file.write_text(json.dumps({"auths": {"10.0.0.1:5000": {"auth": auth}}}))
    found = _engine.credentials(str(file), "10.0.0.1:5000/dianrong/demo@sha256:0")
    assert (found["username"], found["password"]) == ("drcloud", "a:b")
    assert _engine.credentials(str(file), "other:5000/x@sha256:0") is None
    assert _engine.credentials(str(tmp_path / "none.json"), "10.0.0.1:5000/x@sha256:0") is None


def test_the_engine_logs_with_the_labels_that_the_central_log_files_by():
    marks = _instance.labels("drcloud", **VALUES)
    wanted = _instance.payload("image", SPEC, marks, {"address": "10.90.0.11", "port": 20000}, "dk-01")
    config = wanted["HostConfig"]["LogConfig"]
    # No type of our own: the engine's own driver stays.
    assert config["Type"] == ""
    assert [name.rpartition(".")[2] for name in config["Config"]["labels"].split(",")] == [
        "app", "env", "slot", "tag", "revision",
    ]  # fmt: skip
    assert set(config["Config"]["labels"].split(",")) <= set(marks)


@pytest.mark.parametrize(
    ("text", "available"),
    [("MemTotal: 100 kB\nMemAvailable:   2048 kB\n", 2048 * 1024), ("MemTotal: 100 kB\n", None)],
)
def test_memory_that_may_be_used(tmp_path, text, available):
    file = tmp_path / "meminfo"
    file.write_text(text, encoding="ascii")
    assert _instance.available_memory(str(file)) == available
    assert _instance.available_memory(str(tmp_path / "none")) is None
