"""The text of systemd units, and its quoting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from drcloud.errors import InvalidInputError
from drcloud.runs import schedule
from drcloud.runs.schedule import Place
from drcloud.runs.units import HEADER, Unit


def unit(**changes: Any) -> Unit:
    fields: dict[str, Any] = {
        "name": "nightly",
        "playbook": "dianrong.cloud.compliance",
        "calendar": "*-*-* 02:30:00",
        "command": ("/opt/drcloud/bin/python", "-P", "-m", "drcloud", "schedule", "run", "nightly"),
        "directory": Path("/srv/site"),
        "environment_file": Path("/etc/drcloud/drcloud.env"),
    }
    return Unit(**fields | changes)


def test_the_service_and_the_timer() -> None:
    files = unit(user="drcloud").files()

    service = files["drcloud-nightly.service"].splitlines()
    assert service[0] == HEADER
    assert "ExecStart=/opt/drcloud/bin/python -P -m drcloud schedule run nightly" in service
    assert "EnvironmentFile=-/etc/drcloud/drcloud.env" in service
    assert {"User=drcloud", "NoNewPrivileges=yes", "ProtectSystem=full", "PrivateTmp=yes"} <= set(service)
    assert "OnCalendar=*-*-* 02:30:00" in files["drcloud-nightly.timer"].splitlines()


def test_percent_dollar_quote_and_blank_are_escaped() -> None:
    text = unit(
        playbook="/srv/100%/play book.yml",
        directory=Path("/srv/100%"),
        command=("/opt/a b/python", "50%", "$HOME", 'say "x"'),
        environment={"DRCLOUD_CMDB_URL": 'sqlite:////srv/a%20"b"\\c'},
    ).files()["drcloud-nightly.service"]

    assert 'ExecStart="/opt/a b/python" 50%% $$HOME "say \\"x\\""' in text
    assert "WorkingDirectory=/srv/100%%" in text
    assert "Description=drCloud nightly: /srv/100%%/play book.yml" in text
    assert 'Environment="DRCLOUD_CMDB_URL=sqlite:////srv/a%%20\\"b\\"\\\\c"' in text


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "../x"},
        {"name": ""},
        {"name": "a b"},
        {"calendar": "daily\nOnBootSec=1"},
        {"playbook": "x\nExecStart=/bin/sh"},
        {"environment": {"A": "x\ny"}},
    ],
)
def test_nothing_breaks_out_of_its_line(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        unit(**wrong)


def test_a_users_manager_gets_no_mount_namespaces() -> None:
    text = unit(system=False).files()["drcloud-nightly.service"]

    assert "ProtectSystem" not in text
    assert "network-online" not in text
    assert "NoNewPrivileges=yes" in text


def test_what_lies_under_tmp_stays_visible() -> None:
    assert "PrivateTmp" not in unit(directory=Path("/tmp/x")).files()["drcloud-nightly.service"]


def test_installing_is_atomic_and_idempotent(tmp_path: Path) -> None:
    assert sorted(schedule.install(unit(), tmp_path / "u")) == [
        "drcloud-nightly.service",
        "drcloud-nightly.timer",
    ]
    assert schedule.install(unit(), tmp_path / "u") == []
    assert schedule.install(unit(calendar="daily"), tmp_path / "u") == ["drcloud-nightly.timer"]
    assert sorted(file.name for file in (tmp_path / "u").iterdir()) == [
        "drcloud-nightly.service",
        "drcloud-nightly.timer",
    ]
    assert schedule.installed(tmp_path / "u") == ["nightly"]


def test_only_our_own_units_are_removed(tmp_path: Path) -> None:
    schedule.install(unit(), tmp_path)
    (tmp_path / "drcloud-mine.timer").write_text("[Timer]\nOnCalendar=daily\n")

    assert len(schedule.remove("nightly", tmp_path)) == 2
    assert schedule.remove("nightly", tmp_path) == []
    with pytest.raises(InvalidInputError, match="not written by drcloud"):
        schedule.remove("mine", tmp_path)


def test_where_units_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))

    assert Place.of(user=True).directory == tmp_path / "systemd/user"
    assert Place.of(user=False, run_as="root").run_as is None
    assert Place.of(user=False, run_as="drcloud").run_as == "drcloud"
    assert Place.of(user=False).directory == Path("/etc/systemd/system")
