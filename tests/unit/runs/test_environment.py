"""The environment of ansible-playbook: what gets through, and what must not."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from drcloud.runs import environment


def test_jenkins_secrets_stay_outside() -> None:
    outer = {
        "PATH": "/usr/bin",
        "AWS_SECRET_ACCESS_KEY": "s",
        "SECRET_CANARY": "s",
        "BUILD_TAG": "b",
        "SSH_AUTH_SOCK": "/run/agent",
        "DOCKER_HOST": "unix:///run/d.sock",
        "DRCLOUD_CMDB_URL": "sqlite:////c",
        "ANSIBLE_CONFIG": "/etc/a.cfg",
        "https_proxy": "http://p",
    }

    env = environment.compose(outer, {"DRCLOUD_RUN_ID": "1"})

    assert not {"AWS_SECRET_ACCESS_KEY", "SECRET_CANARY", "BUILD_TAG"} & set(env)
    assert {"SSH_AUTH_SOCK", "DOCKER_HOST", "DRCLOUD_CMDB_URL", "ANSIBLE_CONFIG", "https_proxy"} <= set(env)
    assert env["DRCLOUD_RUN_ID"] == "1"


def test_a_secret_that_the_cmdb_names_gets_through() -> None:
    env = environment.compose({"REGISTRY_PASSWORD": "s"}, {}, wanted=["REGISTRY_PASSWORD", "NOT_SET"])

    assert env["REGISTRY_PASSWORD"] == "s"
    assert "NOT_SET" not in env


def test_the_interpreters_scripts_come_first_without_an_activated_venv() -> None:
    env = environment.compose({"PATH": "/usr/bin:/bin"}, {})

    assert env["PATH"].split(os.pathsep) == [str(Path(sys.executable).parent), "/usr/bin", "/bin"]


def test_the_locale_is_utf8_whatever_cron_says() -> None:
    assert environment.compose({"LANG": "de_DE.ISO-8859-1"}, {})["LC_ALL"] == "C.UTF-8"
    assert environment.compose({}, {})["LC_ALL"] == "C.UTF-8"
    assert "LC_ALL" not in environment.compose({"LANG": "zh_CN.UTF-8"}, {})


def test_host_key_checking_is_not_switched_off_and_choices_are_kept() -> None:
    assert "ANSIBLE_HOST_KEY_CHECKING" not in environment.compose({}, {})
    kept = environment.compose({"ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "false"}, {})
    assert kept["ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED"] == "false"


def test_an_older_copy_of_the_collection_does_not_win(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = tmp_path / "ansible_collections/dianrong/cloud"
    stale.mkdir(parents=True)
    own = Path(environment.__file__).resolve().parents[3] / "collections"
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    assert environment.compose({"PYTHONPATH": "/x"}, {})["PYTHONPATH"] == f"{own}{os.pathsep}/x"

    monkeypatch.setattr(sys, "path", [str(own), str(tmp_path)])
    assert environment.collection_roots() == []


def test_nobody_is_asked() -> None:
    assert environment.compose({"SSH_ASKPASS": "/usr/bin/x11-ask"}, {})["SSH_ASKPASS"] == "/bin/false"
