"""Which packages apt has to install."""

from __future__ import annotations

import os

import pytest

from ansible_collections.dianrong.cloud.plugins.module_utils import _packages
from ansible_collections.dianrong.cloud.plugins.modules import debian_packages

DPKG = (
    "docker.io\t20.10.24+dfsg1-1\tinstalled\tapparmor, docker-cli (>= 1~), git | mercurial\n"
    "iptables\t1.8.9-2\tconfig-files\tnftables\nrunc\t1.1.5\thalf-configured\t\n"
)


def installed(*names):
    return {name: row for name, row in _packages.parse_installed(DPKG).items() if name in names}


@pytest.mark.parametrize(
    ("wanted", "install"),
    [
        (["docker.io"], ()),
        (["docker.io=20.10.24+dfsg1-1"], ()),
        (["docker.io=26.1.5"], ("docker.io=26.1.5",)),
        (["iptables"], ("iptables",)),
        (["python3-docker", "docker.io"], ("python3-docker",)),
    ],
)
def test_only_what_is_missing_or_of_another_version_is_installed(wanted, install):
    plan = _packages.plan(wanted, installed("docker.io", "iptables"))
    assert plan.install == install
    assert not plan.repair


def test_an_interrupted_installation_is_repaired():
    plan = _packages.plan(["runc"], installed("runc"))
    assert plan.repair
    assert plan.install == ("runc",)


def test_the_plan_tells_before_and_after():
    plan = _packages.plan(["docker.io=26.1.5", "iptables"], installed("docker.io", "iptables"))
    assert plan.before == {"docker.io": "20.10.24+dfsg1-1", "iptables": None}
    assert plan.after == {"docker.io": "26.1.5", "iptables": "newest"}


@pytest.mark.parametrize("name", ["", "--reinstall", "docker.io=", "a b", "=1"])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(_packages.PackageError, match="expected a name or name=version"):
        _packages.split(name)


def test_apt_is_quoted_where_it_complains():
    output = "Reading package lists...\n"
    errors = "E: Unable to locate package dockr.io\n"
    assert _packages.complaint(output, errors) == "E: Unable to locate package dockr.io"


def test_what_installed_packages_recommend_is_known():
    assert _packages.parse_recommended(DPKG) == {"apparmor", "docker-cli", "git", "mercurial"}


def test_a_package_that_dpkg_does_not_know_recommends_nothing():
    assert _packages.parse_recommended("dpkg-query: no packages found matching docker-cli\n") == set()


@pytest.mark.parametrize(
    ("text", "fetches"),
    [
        ('Acquire::http::Proxy "http://proxy.example.org:3128";\n', True),
        ('acquire {\n  Retries "3";\n};\n', True),
        ('APT::Architectures { "amd64"; "arm64"; };\n', True),
        ('Dir::State::lists "/srv/lists";\n', True),
        ('APT::Periodic::Update-Package-Lists "1";\n#clear Unattended-Upgrade::Origins-Pattern;\n', False),
        ('DPkg::Post-Invoke { "/usr/bin/true"; };\n', False),
        # Debian's own file of unattended-upgrades.
        ('// Use apt bandwidth limit feature\n  //Acquire::http::Dl-Limit "70";\n', False),
        ("", False),
    ],
)
def test_lists_are_fetched_again_only_for_what_changes_them(text, fetches):
    assert _packages.fetches(text) is fetches


@pytest.fixture
def apt(tmp_path, monkeypatch):
    """A host's apt, whose lists are newer than its sources."""
    for name in ("lists", "sources.list.d", "apt.conf.d"):
        (tmp_path / name).mkdir()
    (tmp_path / "lists/deb_Release").write_text("")
    (tmp_path / "sources.list.d/debian.sources").write_text("Types: deb\n")
    os.utime(tmp_path / "sources.list.d/debian.sources", (0, 0))
    monkeypatch.setattr(debian_packages, "LISTS", str(tmp_path / "lists"))
    monkeypatch.setattr(debian_packages, "SOURCES", (str(tmp_path), str(tmp_path / "sources.list.d")))
    monkeypatch.setattr(debian_packages, "SETTINGS", str(tmp_path / "apt.conf.d"))
    monkeypatch.setattr(debian_packages, "POLICY", str(tmp_path / "policy-rc.d"))
    return tmp_path


@pytest.mark.parametrize(
    ("name", "text", "again"),
    [
        ("apt.conf.d/60drcloud-updates", 'APT::Periodic::Unattended-Upgrade "1";\n', False),
        ("apt.conf.d/80drcloud-engine", 'Acquire::http::Proxy "http://proxy:3128";\n', True),
        ("sources.list.d/drcloud-engine.sources", "Types: deb\n", True),
        ("sources.list", "deb http://deb.debian.org/debian bookworm main\n", True),
    ],
)
def test_lists_that_are_older_than_their_sources_are_too_old(apt, name, text, again):
    (apt / name).write_text(text)
    newer = (apt / "lists").stat().st_mtime + 60
    os.utime(apt / name, (newer, newer))
    assert (debian_packages.lists_age() == float("inf")) is again


class Host:
    """A host on which all that is asked for is installed."""

    check_mode = False

    def __init__(self, **params):
        self.params = {"names": ["runc"], "with_recommended": [], "start_services": True, **params}
        self.commands = []

    def get_bin_path(self, name):
        return name

    def run_command(self, command, environ_update=None):
        """Write down what is run, and whether services may start meanwhile."""
        self.commands.append((command[0], debian_packages.left_behind()))
        return 0, "runc\t1.1.5\tinstalled\t\n", ""


@pytest.mark.parametrize("start_services", [True, False])
def test_a_ban_on_services_that_a_killed_run_left_is_lifted(apt, start_services):
    """Its apt-get went on without it and completed: nothing is left to install."""
    policy = apt / "policy-rc.d"
    policy.write_text(debian_packages.FORBID)
    (checked := Host(start_services=start_services)).check_mode = True
    assert debian_packages.ensure(checked)["changed"]
    assert policy.exists()
    done = debian_packages.ensure(host := Host(start_services=start_services))
    assert (done["changed"], done["installed"]) == (True, [])
    assert str(policy) in done["diff"]["before"]
    # dpkg waits for the apt-get that may still be at work, and that one's services are still held.
    assert ("dpkg", True) in host.commands
    assert not policy.exists()
    assert not debian_packages.ensure(Host(start_services=start_services))["changed"]


def test_a_ban_that_the_module_of_a_killed_run_lifts_meanwhile_is_lifted(apt):
    policy = apt / "policy-rc.d"
    with debian_packages.services_held(True):
        policy.unlink()
    assert not policy.exists()


LOCK = (
    "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 4711 (apt-get)\n"
    "E: Unable to lock directory /var/lib/apt/lists/\n"
)


@pytest.mark.parametrize(
    ("errors", "locked"),
    [
        (LOCK, True),
        ("dpkg: error: dpkg frontend lock was locked by another process with pid 4711\n", True),
        ("dpkg: error: dpkg frontend is locked by another process\n", True),
        ("E: Unable to locate package xlock\n", False),
        ("E: The repository 'http://blocklist.example.org stable Release' has no Release file.\n", False),
        ("", False),
    ],
)
def test_who_is_at_work_is_told_from_what_is_wrong(errors, locked):
    assert _packages.locked(errors) is locked


class Busy(Host):
    """A host on which another apt-get fetches the lists for a while."""

    def __init__(self, times):
        super().__init__()
        self.times = times

    def run_command(self, command, environ_update=None):
        super().run_command(command)
        return (100, "", LOCK) if len(self.commands) <= self.times else (0, "", "")

    def fail_json(self, msg, **_):
        raise RuntimeError(msg)


def test_another_apt_get_that_fetches_the_lists_is_waited_for(monkeypatch):
    monkeypatch.setattr(debian_packages, "PAUSE", 0)
    host = Busy(2)
    debian_packages.run(host, *debian_packages.APT_GET, "update")
    assert len(host.commands) == 3


def test_one_that_never_ends_is_not_waited_for_for_ever(monkeypatch):
    monkeypatch.setattr(debian_packages, "PAUSE", 0)
    monkeypatch.setattr(debian_packages, "PATIENCE", 0.05)
    with pytest.raises(RuntimeError, match=r"apt-get update: E: Could not get lock .* process 4711"):
        debian_packages.run(Busy(10**9), *debian_packages.APT_GET, "update")


def test_a_policy_of_others_stays(apt):
    policy = apt / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 0\n")
    assert not debian_packages.ensure(Host())["changed"]
    with debian_packages.services_held(True):
        assert policy.read_text() == "#!/bin/sh\nexit 0\n"
    assert policy.exists()
