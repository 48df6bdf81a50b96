"""Schedules of the CMDB as systemd timers: which exist, what their units say, put them in place."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url, select

from drcloud.cmdb import declared, lookup
from drcloud.cmdb.store import Store
from drcloud.errors import DrcloudError, InvalidInputError, NotFoundError
from drcloud.runs import references
from drcloud.runs.units import HEADER, Unit

SYSTEM_DIRECTORY = Path("/etc/systemd/system")
SYSTEM_ENVIRONMENT = Path("/etc/drcloud/drcloud.env")
_CMDB = "DRCLOUD_CMDB_URL"
_TOOL_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Schedule:
    """A playbook that runs by the calendar, as the CMDB declares it."""

    name: str
    playbook: str
    calendar: str
    inventory: str | None


def declared_schedules(store: Store) -> list[Schedule]:
    """Return all schedules, by name."""
    rows = declared.Schedule
    with store.read() as session:
        found = session.scalars(select(rows).order_by(rows.name))
        return [Schedule(one.name, one.playbook, one.calendar, one.inventory) for one in found]


def find(store: Store, name: str) -> Schedule:
    """Return the schedule of a name."""
    known = {one.name: one for one in declared_schedules(store)}
    if name not in known:
        hint = (
            lookup.meant(name, list(known)) or "declare it under `schedules` in the CMDB file and import it"
        )
        raise NotFoundError(f"there is no schedule {name!r}: {hint}")
    return known[name]


@dataclass(frozen=True, slots=True)
class Place:
    """Where units go and as whom they run."""

    directory: Path
    environment_file: Path
    system: bool = True
    run_as: str | None = None

    @classmethod
    def of(cls, *, user: bool, directory: Path | None = None, run_as: str | None = None) -> Place:
        """Return the system's place, or the one of the user's own manager."""
        if user:
            base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
            return cls(directory or base / "systemd/user", base / "drcloud/drcloud.env", system=False)
        account = run_as or getpass.getuser()
        return cls(
            directory or SYSTEM_DIRECTORY, SYSTEM_ENVIRONMENT, run_as=None if account == "root" else account
        )


def unit(schedule: Schedule, store: Store, place: Place, environ: Mapping[str, str]) -> Unit:
    """Return the units of a schedule; it will run as it would run here and now."""
    return Unit(
        name=schedule.name,
        playbook=schedule.playbook,
        calendar=schedule.calendar,
        command=(sys.executable, "-P", "-m", "drcloud", "schedule", "run", schedule.name),
        directory=Path.cwd(),
        environment_file=place.environment_file,
        environment=_environment(schedule, store, environ),
        user=place.run_as,
        system=place.system,
    )


def _environment(schedule: Schedule, store: Store, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that are no secrets; a URL with a password stays out."""
    names = {"DRCLOUD_INVENTORY", "ANSIBLE_CONFIG", "ANSIBLE_INVENTORY", *references.paths(store)}
    found = {name: environ[name] for name in names if environ.get(name)}
    url = make_url(store.url)
    if url.password is None:
        found[_CMDB] = store.url
    return found | {"DRCLOUD_ACTOR": f"schedule:{schedule.name}"}


def missing_secrets(store: Store, place: Place) -> list[str]:
    """Return the variables that the environment file must give and does not give yet."""
    needed = references.secrets(store)
    if make_url(store.url).password is not None:
        needed.add(_CMDB)
    try:
        lines = place.environment_file.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    given = {line.partition("=")[0].strip() for line in lines if "=" in line and not line.startswith("#")}
    return sorted(needed - given)


def check_calendar(calendar: str, name: str) -> None:
    """Refuse a calendar expression that systemd does not understand, where systemd is there to ask."""
    tool = shutil.which("systemd-analyze")
    if tool is None:
        return
    answer = _call([tool, "calendar", "--", calendar])
    if answer.returncode:
        reason = (answer.stderr.strip().splitlines() or ["systemd refuses it"])[-1]
        raise InvalidInputError(
            f"schedule {name} has no valid calendar: {reason}; see `systemd-analyze calendar`"
        )


def verify(unit_: Unit) -> None:
    """Have systemd read the units before they are put in place, where systemd is there to ask."""
    tool = shutil.which("systemd-analyze")
    if tool is None:
        return
    with tempfile.TemporaryDirectory(prefix="drcloud-units-") as name:
        paths = []
        for file, text in unit_.files().items():
            path = Path(name, file)
            path.write_text(text, encoding="utf-8")
            paths.append(str(path))
        manager = "--system" if unit_.system else "--user"
        answer = _call([tool, "verify", manager, "--man=no", "--recursive-errors=no", *paths])
        complaints = [line for line in answer.stderr.splitlines() if name in line]
    if answer.returncode and complaints:
        raise DrcloudError(f"systemd refuses the units of schedule {unit_.name}: {complaints[0]}")


def install(unit_: Unit, directory: Path) -> list[str]:
    """Put the units in place; return the names of the files that changed, none the second time."""
    changed = {name: text for name, text in unit_.files().items() if _current(directory / name) != text}
    with _writing(directory), contextlib.ExitStack() as cleanup:
        directory.mkdir(parents=True, exist_ok=True)
        ready: list[tuple[Path, Path]] = []
        for name, text in changed.items():
            fresh = directory / f".{name}.{os.getpid()}"
            cleanup.callback(fresh.unlink, missing_ok=True)
            fresh.write_text(text, encoding="utf-8")
            fresh.chmod(0o644)
            ready.append((fresh, directory / name))
        for fresh, target in ready:
            fresh.replace(target)
    return list(changed)


def remove(name: str, directory: Path) -> list[str]:
    """Remove the units of a schedule that we wrote; return the names of the files."""
    removed = []
    for suffix in ("timer", "service"):
        file = directory / f"drcloud-{name}.{suffix}"
        text = _current(file)
        if text is None:
            continue
        if not text.startswith(HEADER):
            raise InvalidInputError(f"{file} was not written by drcloud: remove it yourself")
        with _writing(directory):
            file.unlink()
        removed.append(file.name)
    return removed


def installed(directory: Path) -> list[str]:
    """Return the names of the schedules that have a timer of ours in the directory."""
    timers = sorted(directory.glob("drcloud-*.timer"))
    ours = [timer for timer in timers if (_current(timer) or "").startswith(HEADER)]
    return [timer.name.removeprefix("drcloud-").removesuffix(".timer") for timer in ours]


def systemctl(place: Place, *arguments: str) -> None:
    """Call systemctl; fail in one sentence where systemd does not run."""
    tool = shutil.which("systemctl")
    if tool is None or not Path("/run/systemd/system").is_dir():
        raise DrcloudError(
            f"systemd does not run here: the units are in {place.directory}, nothing was enabled or disabled"
        )
    answer = _call([tool, *([] if place.system else ["--user"]), *arguments])
    if answer.returncode:
        reason = (answer.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise DrcloudError(f"systemctl {' '.join(arguments)} failed: {reason}")


def _call(line: list[str]) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"LC_ALL": "C.UTF-8", "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": ""}
    return subprocess.run(
        line, capture_output=True, text=True, check=False, timeout=_TOOL_SECONDS, env=environment
    )


def _current(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


@contextlib.contextmanager
def _writing(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InvalidInputError(
            f"cannot write to {directory}: {error.strerror}; "
            "run it as root, with --user, or name another --directory"
        ) from error
