"""What preparing a host comes to: what it pulls and would pull, and whose trouble it is."""

from __future__ import annotations

import types

import pytest
from ansible.errors import AnsibleConnectionFailure

from ansible_collections.dianrong.cloud.plugins.action import app_prepare, rollout
from ansible_collections.dianrong.cloud.plugins.plugin_utils import _roll
from drcloud.delivery.plan import Pull
from drcloud.delivery.rollout import Report

LACKS = {"image": "registry:5000/demo@sha256:aa", "bytes": 4096}
DIFF = {"before": "", "after": "pull registry:5000/demo@sha256:aa\n"}


class Action(app_prepare.ActionModule):
    """An action in check mode, so that nothing is recorded."""

    def __init__(self, said):
        self._task = types.SimpleNamespace(args={"rollout": {}}, check_mode=True)
        self._said = said

    def _execute_module(self, module_name, module_args, task_vars):
        assert module_args == {"state": "prepared"}
        if isinstance(self._said, Exception):
            raise self._said
        return self._said


@pytest.fixture
def prepared(monkeypatch):
    """Return what prepares a host whose module says or raises something, and what the plan hears of it."""
    monkeypatch.setattr(_roll, "begun_of", lambda value: None)
    monkeypatch.setattr(_roll.Host, "arguments", lambda self, state: {"state": state})

    def run(said):
        told = Action(said).act({"inventory_hostname": "dk-01"})
        return told, rollout._report("dk-01", {"hostvars": {"dk-01": {"dr_prepared": told}}})

    return run


def test_a_host_that_lacks_the_image_is_changed_and_says_what_it_pulls(prepared):
    told, report = prepared(
        {"changed": True, "diff": DIFF, "instances": [], "pull": LACKS, "warnings": [object()]}
    )
    assert told == {
        "trouble": "",
        "kind": "",
        "lost": False,
        "changed": True,
        "diff": DIFF,
        "instances": [],
        "pull": LACKS,
    }
    assert report == Report("dk-01", pull=Pull("registry:5000/demo@sha256:aa", 4096))


def test_a_host_that_has_it_pulls_nothing(prepared):
    told, report = prepared({"changed": False, "instances": [], "pull": None})
    assert not told["changed"]
    assert report == Report("dk-01")


@pytest.mark.parametrize(
    ("said", "words", "kind", "lost"),
    [
        ({"failed": True, "msg": "could not pull", "kind": "registry"}, "could not pull", "registry", False),
        ({"failed": True, "msg": "port 20000 is taken"}, "port 20000 is taken", "host", False),
        (AnsibleConnectionFailure("timed out"), "it does not answer over SSH (timed out)", "host", True),
    ],
)
def test_trouble_comes_with_whose_it_is(prepared, said, words, kind, lost):
    told, report = prepared(said)
    assert told == {"trouble": words, "kind": kind, "lost": lost, "instances": []}
    assert report == Report("dk-01", trouble=words, unreachable=lost, kind=kind)
