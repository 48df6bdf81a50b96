# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What stands beside the forwarder of a host's journal: nothing it loses is lost in silence.

``before`` runs before rsyslog starts. The journal takes over its limits where they are new. What the last
rsyslog dropped is added up, for a new one counts from zero. Messages may be missing at both ends of its queue
on the disk: what had left it and was never acknowledged (RELP keeps that in memory, and says nothing of it at
its end), and after a crash what came since the last checkpoint. The journal has them all, so it is read again
from a little before the queue's oldest message, and takes the queue's place: some messages are sent twice,
none is lost.
``report`` runs each minute: it adds up what the full queue dropped (rsyslog's impstats) and what the journal
suppressed by its rate limit, writes ``health.json``, and says so in the journal, which is forwarded as well.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import subprocess
import sys
import time

STATE = "/var/lib/drcloud/log-client"
LIMITS = "/etc/systemd/journald.conf.d/drcloud.conf"
# imjournal's place in the journal.
CURSOR = "imjournal.state"
STATS = "stats"
HEALTH = "health.json"
# RELP's window: so many messages may have left the queue unacknowledged (librelp's DEFAULT_WINDOW_SIZE).
WINDOW = 128
# That, and what came since rsyslog last saved its queue (each hundredth message: queue.checkpointInterval).
REWIND = 256
QUEUE = "central-log queue"
# Of the counters of the queue: dropped since it was full, and dropped since it was nearly full.
DROPPED = ("discarded.full", "discarded.nf")
LOSSES = ("dropped", "suppressed")
# systemd's SD_MESSAGE_JOURNAL_DROPPED (sd-messages.h): the journal suppressed messages of a service.
SUPPRESSED = "a596d6fe7bfa4994828e72309e95d61e"
STATS_LIMIT = 1024 * 1024
HEARTBEAT = 3600
NOTICE, WARNING, ERROR = "<5>", "<4>", "<3>"
# What rsyslog has counted when it starts.
ZERO = {"dropped": 0, "taken": 0}


def refresh(limits=LIMITS):
    """Restart the journal if its limits are newer than it is; nothing is lost, for its sockets stay open."""
    shown = run(
        "systemctl", "show", "systemd-journald", "--property=ActiveEnterTimestampMonotonic", "--value"
    )
    started = time.time() - time.monotonic() + int(shown.strip() or 0) / 1e6
    if os.path.exists(limits) and os.stat(limits).st_mtime > started:
        run("systemctl", "restart", "systemd-journald")


def rewind(complete, state=STATE):
    """Put the forwarder's place in the journal back; return how many messages may be lost, at most.

    ``complete``: nothing was dropped since the queue's oldest message, so all between it and the place is in
    the queue. Then the journal takes its place. Otherwise, and where the journal does not reach back so far,
    the queue stays, and what was on its way to the log server may be lost.
    """
    cursor = read(os.path.join(state, CURSOR)).strip()
    if not cursor:
        return 0
    waiting = in_queue(state)
    found, place = earlier(cursor, waiting + REWIND)
    replaces = complete and found == waiting + REWIND
    if waiting and not replaces:
        found, place = earlier(cursor, REWIND)
    if place:
        write(os.path.join(state, CURSOR), place)
        print(f"{NOTICE}the last {found} messages are read again: some of them may not have arrived")
    if waiting and replaces:
        forget_queue(state)
    return WINDOW if waiting and not replaces else 0


def in_queue(state):
    """Return how many messages the queue on the disk has, by its last checkpoint."""
    saved = re.search(r"^\+iQueueSize:\d+:\d+:(\d+):", read(os.path.join(state, "forward.qi")), re.MULTILINE)
    return int(saved[1]) if saved else 0


def forget_queue(state):
    """Remove the queue on the disk, its index first: without one, rsyslog does not look for the rest."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(state, "forward.qi"))
    for name in os.listdir(state):
        if re.fullmatch(r"forward\.\d+", name):
            os.unlink(os.path.join(state, name))


@contextlib.contextmanager
def alone(state):
    """Keep others from the state file for a while: a report may come in the moment of a start."""
    place = os.open(state, os.O_RDONLY)
    try:
        fcntl.flock(place, fcntl.LOCK_EX)
        yield
    finally:
        os.close(place)


def begin(state=STATE):
    """Add up what the last rsyslog counted to its end, and have the next one's counters begin at zero.

    Return whether the last one dropped nothing.
    """
    with alone(state):
        before = json.loads(read(os.path.join(state, HEALTH)) or "{}")
        lines, offset = unread(os.path.join(state, STATS), before.get("offset", 0))
        last = counted(before, lines)
        keep(state, {**before, **last, "seen": ZERO, "offset": offset})
    return not last["seen"]["dropped"]


def missed(count, state=STATE):
    """Add messages to those that were dropped."""
    with alone(state):
        before = json.loads(read(os.path.join(state, HEALTH)) or "{}")
        keep(state, {**before, "dropped": before.get("dropped", 0) + count})


def keep(state, health):
    """Write the state file before a start, which a full disk must not prevent.

    The next report sees that counters fell.
    """
    try:
        save(state, health)
    except OSError as error:
        print(f"{WARNING}the drops before this start may be counted short: {error}", flush=True)


def report(state=STATE, now=None):
    """Bring the state file up to date and say what changed; return the state."""
    now = now or time.time()
    with alone(state):
        before = json.loads(read(os.path.join(state, HEALTH)) or "{}")
        lines, offset = unread(os.path.join(state, STATS), before.get("offset", 0))
        health = {**before, **counted(before, lines)}
        health["offset"] = shorten(os.path.join(state, STATS), offset)
        entries = suppressions(before.get("cursor"))
        health["suppressed"] = before.get("suppressed", 0) + sum(suppressed(entry) for entry in entries)
        health["cursor"] = entries[-1]["__CURSOR"] if entries else before.get("cursor") or place()
        health["queued_bytes"] = size_of_queue(state)
        line = message(health, now)
        if line:
            health["told"] = {"at": now, **{name: health[name] for name in LOSSES}}
        health["at"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
        save(state, health)
    if line:
        print(line, flush=True)
    return health


def save(state, health):
    """Write the state file."""
    write(os.path.join(state, HEALTH), json.dumps(health, indent=1, sort_keys=True) + "\n")


def unread(path, offset):
    """Return the whole lines behind a place in a file, and where they end; the file may begin anew."""
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        start = offset if offset <= os.fstat(file.fileno()).st_size else 0
        file.seek(start)
        data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        return whole.decode("utf-8", "replace"), start + len(whole)
    return "", 0


def counters(lines):
    """Yield the queue's counters of each of impstats' lines; damaged ones are left out. Pure."""
    for line in lines.splitlines():
        _before, brace, rest = line.partition("{")
        with contextlib.suppress(ValueError):
            entry = json.loads(brace + rest)
            if entry.get("name") == QUEUE:
                yield entry


def counted(before, lines):
    """Return the state with rsyslog's counters added, which begin at zero whenever it starts. Pure."""
    dropped, queued, seen = before.get("dropped", 0), before.get("queued", 0), before.get("seen", ZERO)
    for queue in counters(lines):
        now = {"dropped": sum(queue.get(name, 0) for name in DROPPED), "taken": queue.get("enqueued", 0)}
        # Both only fall where rsyslog has started again, and `begin` could not say so.
        again = now["taken"] < seen["taken"] or now["dropped"] < seen["dropped"]
        dropped += now["dropped"] - (0 if again else seen["dropped"])
        queued, seen = queue.get("size", 0), now
    return {"dropped": dropped, "queued": queued, "seen": seen}


def suppressions(cursor):
    """Return what the journal says of suppressed messages behind a place; without one, since the boot.

    ``--after-cursor`` skips the first match also where the place is that of another message (systemd 252).
    """
    since = f"--cursor={cursor}" if cursor else "--boot"
    return [entry for entry in journal(f"MESSAGE_ID={SUPPRESSED}", since) if entry["__CURSOR"] != cursor]


def suppressed(entry):
    """Return how many messages the journal says it suppressed. Pure."""
    count = entry.get("N_DROPPED")
    match = re.search(r"Suppressed (\d+) messages", str(entry.get("MESSAGE", "")))
    return int(count) if count else int(match[1]) if match else 0


def message(health, now):
    """Return what to say in the journal: each loss at once, and once an hour that all is well. Pure."""
    told = health.get("told", {})
    lost = {name: health[name] - told.get(name, 0) for name in LOSSES}
    numbers = json.dumps({name: health[name] for name in (*LOSSES, "queued", "queued_bytes")})
    if any(lost.values()):
        words = f"lost: {lost['dropped']} by a full queue, {lost['suppressed']} by the journal's rate limit;"
        return f"{ERROR}{words} in all {numbers}"
    return f"{NOTICE}in all {numbers}" if now - told.get("at", 0) >= HEARTBEAT else None


def journal(*arguments):
    """Return entries of the journal; none where it has nothing, or not the place asked for."""
    shown = run("journalctl", "--quiet", "--no-pager", "--output=json", *arguments)
    return [json.loads(line) for line in shown.splitlines()]


def earlier(cursor, count):
    """Return how many messages the journal has up to a place, at most a count, and the first one's place.

    They may be millions: one at a time.
    """
    command = ["journalctl", "--quiet", "--no-pager", "--output=json", "--output-fields=_PID", "--reverse"]
    found, line = 0, ""
    with subprocess.Popen(
        [*command, f"--lines={count}", f"--cursor={cursor}"], stdout=subprocess.PIPE, text=True
    ) as shown:
        for found, line in enumerate(shown.stdout, 1):  # noqa: B007 - the last one is asked for
            pass
    return found, json.loads(line)["__CURSOR"] if line else ""


def run(*command):
    """Return what a command prints."""
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout


def place():
    """Return the newest place in the journal."""
    entries = journal("--lines=1")
    return entries[0]["__CURSOR"] if entries else ""


def size_of_queue(state):
    """Return how many bytes the queue takes on the disk."""
    with os.scandir(state) as entries:
        return sum(entry.stat().st_size for entry in entries if re.fullmatch(r"forward\.\d+", entry.name))


def shorten(path, offset):
    """Empty the file of counters when it is large and read to its end; return the place to go on from.

    rsyslog appends to it, and the counters are sums.
    """
    with contextlib.suppress(FileNotFoundError):
        if os.stat(path).st_size == offset > STATS_LIMIT:
            os.truncate(path, 0)
            return 0
    return offset


def read(path):
    """Return a file's text; nothing where there is no file."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def write(path, text):
    """Write a file at once or not at all."""
    with open(path + ".part", "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".part", path)


def main(command):
    """Do one of the two."""
    if command == "before":
        refresh()
        lost = rewind(begin())
        if lost:
            missed(lost)
    else:
        report()


if __name__ == "__main__":
    main(sys.argv[1])
