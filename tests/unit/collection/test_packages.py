"""Which packages apt has to install."""

from __future__ import annotations

import pytest

from ansible_collections.dianrong.cloud.plugins.module_utils import _packages

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
