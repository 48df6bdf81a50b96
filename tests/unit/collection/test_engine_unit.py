"""How dockerd is called: the files of its unit, and the drop-in that takes the listening flags away."""

from __future__ import annotations

import pytest

from ansible_collections.dianrong.cloud.plugins.module_utils import _engine_unit
from ansible_collections.dianrong.cloud.plugins.module_utils._engine_unit import UnitFiles

DEBIAN = """\
[Service]
Type=notify
ExecStart=/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock $DOCKER_OPTS
ExecReload=/bin/kill -s HUP $MAINPID
"""
PATH = "/etc/systemd/system/docker.service.d/drcloud-engine.conf"
PACKAGED = UnitFiles("/lib/systemd/system/docker.service", DEBIAN)


def test_the_packaged_unit_serves_where_daemon_json_says_nothing_of_it():
    assert _engine_unit.drop_in(PACKAGED, False, {}) is None


def test_the_flag_goes_and_everything_else_of_the_command_line_stays():
    text = _engine_unit.drop_in(PACKAGED, True, {})
    assert text.splitlines()[3:] == [
        "ExecStart=",
        "ExecStart=/usr/sbin/dockerd --containerd=/run/containerd/containerd.sock $DOCKER_OPTS",
    ]
    after = _engine_unit.with_drop_in(PACKAGED, PATH, text)
    assert "-H" not in _engine_unit.command_line(after)
    assert "-H fd://" in _engine_unit.command_line(_engine_unit.with_drop_in(after, PATH, None))


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("/usr/bin/dockerd -H fd:// --containerd=/c.sock", "/usr/bin/dockerd --containerd=/c.sock"),
        ("dockerd -H=fd:// --host=tcp://0.0.0.0:2375 --debug", "dockerd --debug"),
        ("dockerd --host unix:///run/docker.sock -Hfd:// -D", "dockerd -D"),
        ("dockerd --host-gateway-ip 10.0.0.1", "dockerd --host-gateway-ip 10.0.0.1"),
        ("dockerd", "dockerd"),
    ],
)
def test_all_ways_of_writing_the_flag_are_known(command, expected):
    assert _engine_unit.without_hosts(command) == expected


def test_the_last_drop_in_by_name_decides():
    site = "[Service]\nExecStart=\nExecStart=/opt/dockerd \\\n  -H tcp://0.0.0.0:2375\n"
    text = _engine_unit.drop_in(PACKAGED, True, {})
    files = UnitFiles(PACKAGED.path, DEBIAN, {"/etc/systemd/system/docker.service.d/z.conf": site})
    files = _engine_unit.with_drop_in(files, PATH, text)
    assert next(iter(files.drop_ins)) == PATH
    assert _engine_unit.command_line(files).split() == ["/opt/dockerd", "-H", "tcp://0.0.0.0:2375"]


def test_what_others_say_before_us_stays_but_for_where_to_listen():
    """A site's data root in its own drop-in: without it the engine would start empty."""
    directory = "/etc/systemd/system/docker.service.d/"
    site = "[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H fd:// --data-root /srv $DOCKER_OPTS\n"
    files = UnitFiles(PACKAGED.path, DEBIAN, {f"{directory}10-site.conf": site})
    wanted = "/usr/sbin/dockerd --data-root /srv $DOCKER_OPTS"
    text = _engine_unit.drop_in(files, True, {})
    assert text.splitlines()[3:] == ["ExecStart=", f"ExecStart={wanted}"]
    after = _engine_unit.with_drop_in(files, PATH, text)
    assert _engine_unit.command_line(after) == wanted
    # Ours is no source of itself: what the site says next is followed.
    assert _engine_unit.drop_in(after, True, {}) == text
    moved = {**after.drop_ins, f"{directory}10-site.conf": site.replace("/srv", "/data")}
    assert "--data-root /data" in _engine_unit.drop_in(UnitFiles(PACKAGED.path, DEBIAN, moved), True, {})


def test_the_environment_is_written_so_that_systemd_reads_it_back():
    text = _engine_unit.drop_in(PACKAGED, False, {"NO_PROXY": 'a,"b"', "HTTPS_PROXY": "http://p:3128/%7E"})
    assert text.splitlines() == [
        "# Managed by drCloud",
        "[Service]",
        'Environment="HTTPS_PROXY=http://p:3128/%%7E"',
        'Environment="NO_PROXY=a,\\"b\\""',
    ]


def test_files_are_read_in_the_order_and_with_the_precedence_of_systemd(tmp_path):
    etc, lib = tmp_path / "etc", tmp_path / "lib"
    for path, text in {
        lib / "docker.service": DEBIAN,
        lib / "docker.service.d/b.conf": "lib b",
        lib / "docker.service.d/a.conf": "lib a",
        etc / "docker.service.d/b.conf": "etc b",
        etc / "docker.service.d/notes.txt": "not read",
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    found = _engine_unit.read("docker.service", (str(etc), str(lib)))
    assert (found.path, found.text) == (str(lib / "docker.service"), DEBIAN)
    assert list(found.drop_ins.values()) == ["lib a", "etc b"]
    assert len(found.paths()) == 3
    assert _engine_unit.read("none.service", (str(etc), str(lib))) == UnitFiles()


def test_a_host_without_the_package_has_no_command_line_to_take_from():
    assert "ExecStart=dockerd\n" in _engine_unit.drop_in(UnitFiles(), True, {})
