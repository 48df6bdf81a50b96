# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A change that undoes itself unless it is confirmed: for what could cut the host off.

A module that changes how the host is reached does it in this order::

    guard = Guard("network")
    guard.settle()                          # first what an earlier run left open
    guard.arm(token, undo, seconds)         # from here on the host helps itself
    ...                                     # the change
    guard.applied(token)                    # complete; now only the confirmation is missing

and the controller confirms over a fresh connection (plugin_utils/_guarded.py). Without that the host runs
the undo by itself: a systemd timer does it after the given seconds, a unit at boot does it when the host
was restarted before. The undo is a shell script that may run more than once and gets one word: C(timer),
C(boot) (before the network is up: put files back and leave the rest to the boot) or C(now).

The state of a guard is a directory that is renamed: C(armed) becomes C(settled) by a confirmation, or
C(firing) and then C(settled) by the undo. A lock and the rename see to it that one of them wins.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import time

ROOT = "/var/lib/drcloud/guard"
BOOT_UNIT = "/etc/systemd/system/drcloud-guard.service"
# Seconds between two looks at a guard that somebody else is going to settle.
PAUSE = 0.2

FIRE = r"""#!/bin/sh
# fire REASON [NAME TOKEN]: undo what nobody confirmed; without a name, everything that is open.
set -u
root=$(cd "$(dirname "$0")" && pwd)

# A change that hangs must not go on beside its undo, nor what it started: they are a process group, whose
# number stays its own also when its leader has died. After a boot the numbers are others'.
stop_change() {
    read -r pid started 2> /dev/null < "$1/applying" || return 0
    running=$(sed 's/.*) //' "/proc/$pid/stat" 2> /dev/null | cut -d' ' -f20)
    if [ "$running" = "$started" ] || { [ -z "$running" ] && [ "$2" != boot ]; }; then
        kill -s KILL -- "-$pid" 2> /dev/null
    fi
    rm -f "$1/applying"
}

fire() (
    reason=$1 place=$2 token=${3-}
    exec 9> "$place/lock"
    flock 9
    if [ -d "$place/armed" ] && { [ -z "$token" ] || [ "$(cat "$place/armed/token")" = "$token" ]; }; then
        mv -T "$place/armed" "$place/firing"
    fi
    [ -d "$place/firing" ] || exit 0
    stop_change "$place/firing" "$reason"
    # What the undo starts must not inherit the lock.
    /bin/sh "$place/firing/undo" "$reason" > "$place/firing/log" 2>&1 9>&- || exit 1
    echo reverted > "$place/firing/outcome"
    rm -rf "$place/settled"
    mv -T "$place/firing" "$place/settled"
)

if [ $# -gt 1 ]; then
    fire "$1" "$root/$2" "$3"
    exit
fi
failed=0
for place in "$root"/*/; do
    [ ! -d "$place" ] || fire "$1" "${place%/}" || failed=1
done
exit $failed
"""

# Before the network is brought up, so that what boots is what was there before the change.
AT_BOOT = f"""# Managed by drCloud: undoes changes that were not confirmed before the host went down.
[Unit]
Description=Undo changes that nobody confirmed
DefaultDependencies=no
ConditionPathExistsGlob=|{ROOT}/*/armed
ConditionPathExistsGlob=|{ROOT}/*/firing
RequiresMountsFor={ROOT}
After=local-fs.target systemd-remount-fs.service
Before=network-pre.target nftables.service shutdown.target
Wants=network-pre.target
Conflicts=shutdown.target

[Service]
Type=oneshot
ExecStart=/bin/sh {ROOT}/fire boot

[Install]
WantedBy=multi-user.target
"""


class GuardError(Exception):
    """A guard cannot be armed or settled; the message names it and says what to do."""


class Guard:
    """The guard of one kind of change on this host, by its name; one change at a time can be open."""

    def __init__(self, name, root=ROOT, run=None):
        """Look at C(name); C(root) and C(run) (argv -> exit code, output) are there for tests."""
        self.name = name
        self.root = root
        self.place = os.path.join(root, name)
        self._run = run or _run

    def arm(self, token, undo, seconds):
        """From now on the host runs C(undo) in C(seconds), unless the change C(token) is confirmed before.

        The caller is protected from the end of its connection from here on; it leads a process group of its
        own, so that an undo can stop it with all that it started.
        """
        self._install()
        # Already the leader of a group, as the leader of a session is.
        with contextlib.suppress(PermissionError):
            os.setpgid(0, 0)
        with self._locked():
            if self._open():
                raise GuardError(f"guard {self.name}: another change is not settled yet; run again later")
            if self._token("settled") == token:
                raise GuardError(f"guard {self.name}: the change {token} has been undone already; run again")
            self._prepare(token, undo, seconds)
        for number in (signal.SIGHUP, signal.SIGPIPE, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        unit = self._unit(token)
        code, output = self._run(
            [
                "systemd-run",
                "--quiet",
                f"--unit={unit}",
                f"--on-active={seconds}s",
                "--timer-property=AccuracySec=100ms",
                "--property=Type=oneshot",
                "--property=Restart=on-failure",
                "--property=RestartSec=5s",
                "/bin/sh",
                os.path.join(self.root, "fire"),
                "timer",
                self.name,
                token,
            ]
        )
        if code:
            self._withdraw()
            raise GuardError(f"guard {self.name}: systemd sets no timer for the undo: {output.strip()}")

    def applied(self, token):
        """Say that the change is complete: it may be confirmed now."""
        with self._locked():
            if self._token("armed") != token:
                raise GuardError(f"guard {self.name}: the host has undone the change before it was complete")
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path("armed", "applying"))

    def confirm(self, token):
        """Keep the change; return C(confirmed), C(reverted), or C(unknown) for a change nobody made here.

        Asking again gives the same answer. A change whose maker died half-way is undone instead.
        """
        while os.path.isdir(self.place):
            with self._locked():
                if self._token("settled") == token:
                    return self._read("settled", "outcome")
                if self._token("armed") != token and self._token("firing") != token:
                    return "unknown"
                running = self._applying()
                kept = self._token("armed") == token and running is None
                if kept:
                    self._keep()
            if kept:
                self._run(["systemctl", "stop", self._unit(token) + ".timer"])
            elif running:
                time.sleep(PAUSE)
            else:
                self.fire(token)
        return "unknown"

    def fire(self, token):
        """Undo the change at once; for a change that failed half-way."""
        self._spare_myself()
        code, output = self._run(["/bin/sh", os.path.join(self.root, "fire"), "now", self.name, token])
        self._run(["systemctl", "stop", self._unit(token) + ".timer"])
        if code:
            said = (self._read("firing", "log") or output).strip()
            raise GuardError(f"guard {self.name}: the undo in {self._path('firing', 'undo')} failed: {said}")

    def settle(self):
        """Wait until an open change of another run is confirmed or undone; return its outcome or None.

        What its timer should have undone is undone here.
        """
        while True:
            if not os.path.isdir(self.place):
                return None
            with self._locked():
                token = self._token("firing") or self._token("armed")
                overdue = self._token("firing") is not None or self._overdue()
            if token is None:
                return self._read("settled", "outcome")
            if overdue:
                self.fire(token)
            else:
                time.sleep(PAUSE)

    def pending(self):
        """Return the token of the change that is neither confirmed nor undone yet, or None."""
        return self._token("armed") or self._token("firing")

    def _install(self):
        """Have the program that undoes, and the unit that runs it at boot."""
        os.makedirs(self.place, mode=0o700, exist_ok=True)
        os.chmod(self.root, 0o700)
        _keep_file(os.path.join(self.root, "fire"), FIRE)
        if self.root == ROOT and _keep_file(BOOT_UNIT, AT_BOOT):
            for command in (["daemon-reload"], ["enable", "--quiet", os.path.basename(BOOT_UNIT)]):
                code, output = self._run(["systemctl", *command])
                if code:
                    os.unlink(BOOT_UNIT)
                    raise GuardError(f"guard {self.name}: systemctl {command[0]} failed: {output.strip()}")

    def _prepare(self, token, undo, seconds):
        scratch = self._path(".new")
        shutil.rmtree(scratch, ignore_errors=True)
        os.mkdir(scratch, 0o700)
        pid = os.getpid()
        for name, text in (
            ("token", token),
            ("undo", undo),
            ("deadline", f"{time.monotonic() + seconds}"),
            ("applying", f"{pid} {_started(pid)}"),
        ):
            _write(os.path.join(scratch, name), text + "\n")
        _sync(scratch)
        os.rename(scratch, self._path("armed"))
        _sync(self.place)

    def _keep(self):
        _write(self._path("armed", "outcome"), "confirmed\n")
        shutil.rmtree(self._path("settled"), ignore_errors=True)
        os.rename(self._path("armed"), self._path("settled"))
        _sync(self.place)

    def _withdraw(self):
        with self._locked():
            shutil.rmtree(self._path("armed"), ignore_errors=True)

    def _open(self):
        return any(os.path.isdir(self._path(state)) for state in ("armed", "firing"))

    def _token(self, state):
        return self._read(state, "token")

    def _overdue(self):
        deadline = self._read("armed", "deadline")
        # The clock starts anew with the machine: a deadline far away is one of an earlier boot.
        return deadline is not None and not time.monotonic() < float(deadline) < time.monotonic() + 3600

    def _applying(self):
        """Return None when the change is complete, else whether its maker still works on it."""
        found = self._read("armed", "applying")
        if found is None:
            return None
        pid, started = found.split()
        return _started(pid) == started

    def _spare_myself(self):
        """The undo kills whoever still works on the change, but not the process that asks for the undo."""
        if (self._read("armed", "applying") or "").split()[:1] == [str(os.getpid())]:
            os.unlink(self._path("armed", "applying"))

    def _read(self, *names):
        try:
            with open(self._path(*names), encoding="utf-8") as file:
                return file.read().strip()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _path(self, *names):
        return os.path.join(self.place, *names)

    def _unit(self, token):
        return f"drcloud-guard-{self.name}-{token}"

    @contextlib.contextmanager
    def _locked(self):
        with open(self._path("lock"), "w", encoding="ascii") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _started(pid):
    """Return when a process started, in the kernel's ticks; C(gone) where it has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(") ")[2].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        return "gone"


def _keep_file(path, text):
    """Write a file unless it says this already; return whether it was written."""
    try:
        with open(path, encoding="utf-8") as file:
            if file.read() == text:
                return False
    except FileNotFoundError:
        pass
    scratch = path + ".new"
    _write(scratch, text)
    os.replace(scratch, path)
    return True


def _write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync(directory):
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _run(arguments):
    done = subprocess.run(arguments, check=False, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr
