"""Settings of the kernel: what differs, what is unknown, and what the kernel refuses."""

from __future__ import annotations

import pytest

from ansible_collections.dianrong.cloud.plugins.module_utils import _kernel_settings
from ansible_collections.dianrong.cloud.plugins.module_utils._kernel_settings import SettingError


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("net.core.somaxconn", "net/core/somaxconn"),
        ("net/core/somaxconn", "net/core/somaxconn"),
        # sysctl.d(5): the other separator stands for the one that occurs within a name.
        ("net.ipv4.conf.eth0/100.rp_filter", "net/ipv4/conf/eth0.100/rp_filter"),
        ("net/ipv4/conf/eth0.100/rp_filter", "net/ipv4/conf/eth0.100/rp_filter"),
    ],
)
def test_a_name_leads_to_its_place(name, path):
    assert _kernel_settings.path(name) == f"/proc/sys/{path}"


@pytest.mark.parametrize("name", ["", "/etc/passwd", "net/../../etc/passwd", "net\nx"])
def test_a_name_that_leads_elsewhere_is_refused(name):
    with pytest.raises(SettingError, match="no name of a setting"):
        _kernel_settings.path(name)


@pytest.mark.parametrize(
    ("wanted", "found", "changes"),
    [
        ({"a.b": 1}, {"a.b": "1"}, {}),
        ({"a.b": 1}, {"a.b": "0"}, {"a.b": "1"}),
        # The kernel separates fields with tabs.
        ({"a.b": "4096 87380 6291456"}, {"a.b": "4096\t87380\t6291456"}, {}),
        ({"-a.b": 1}, {"a.b": "0"}, {"a.b": "1"}),
        ({"-a.b": 1, "a.c": 2}, {"a.b": None, "a.c": "2"}, {}),
    ],
)
def test_only_what_differs_is_set(wanted, found, changes):
    assert _kernel_settings.plan(wanted, found).changes == changes


def test_an_unknown_setting_is_an_error_unless_it_is_tolerated():
    with pytest.raises(SettingError, match=r"a\.typo: this kernel does not know them.*-a\.typo"):
        _kernel_settings.plan({"a.typo": 1}, {"a.typo": None})
    assert _kernel_settings.plan({"-a.typo": 1}, {"a.typo": None}).unknown == ("a.typo",)


def test_the_file_is_sorted_and_keeps_the_sign_of_tolerance():
    text = _kernel_settings.render({"net.b": 2, "-net.a": 1})
    assert text.splitlines()[1:] == ["-net.a = 1", "net.b = 2"]


def test_the_running_kernel_is_read():
    assert _kernel_settings.read("kernel.ostype") == "Linux"
    assert _kernel_settings.read("kernel.no_such_setting") is None
    with pytest.raises(SettingError, match="a group of settings"):
        _kernel_settings.read("net.ipv4")


def test_what_the_kernel_did_not_take_is_an_error(monkeypatch, tmp_path):
    """A file that keeps another value stands for a kernel that rounds or clamps."""
    setting = tmp_path / "rounded"
    setting.write_text("8\n")
    monkeypatch.setattr(_kernel_settings, "ROOT", f"{tmp_path}/")
    _kernel_settings.write("rounded", "9")
    assert setting.read_text() == "9"
    monkeypatch.setattr(_kernel_settings, "read", lambda _name: "8")
    with pytest.raises(SettingError, match="set to '9', but the kernel says '8'"):
        _kernel_settings.write("rounded", "9")


def test_a_setting_that_may_not_be_written_is_named():
    with pytest.raises(SettingError, match=r"kernel setting kernel\.ostype: the kernel refuses 'x'"):
        _kernel_settings.write("kernel.ostype", "x")
