# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What stands beside the forwarder of a host's journal: nothing it loses is lost in silence.

``before`` runs before rsyslog starts. The journal takes over its limits where they are new. After a crash the
queue on the disk may lack what came after its last checkpoint, so the journal is read again from a little
earlier: some messages are sent twice, none is lost.
``after`` runs when it has ended, and notes that it ended well.
``report`` runs each minute: it adds up what the full queue dropped (rsyslog's impstats) and what the journal
suppressed by its rate limit, writes ``health.json``, and says so in the journal, which is forwarded as well.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time

STATE = "/var/lib/drcloud/log-client"
LIMITS = "/etc/systemd/journald.conf.d/drcloud.conf"
# imjournal's place in the journal, and whether rsyslog ended well since.
CURSOR = "imjournal.state"
CLEAN = "stopped-cleanly"
STATS = "stats"
HEALTH = "health.json"
# rsyslog saves its queue at every hundredth message (queue.checkpointInterval); twice that is enough.
REWIND = 200
QUEUE = "central-log queue"
# Of the counters of the queue: dropped since it was full, and dropped since it was nearly full.
DROPPED = ("discarded.full", "discarded.nf")
# systemd's SD_MESSAGE_JOURNAL_DROPPED (sd-messages.h): the journal suppressed messages of a service.
SUPPRESSED = "a596d6fe7bfa4994828e72309e95d61e"
STATS_LIMIT = 1024 * 1024
HEARTBEAT = 3600
NOTICE, ERROR = "<5>", "<3>"


def refresh(limits=LIMITS):
    """Restart the journal if its limits are newer than it is; nothing is lost, for its sockets stay open."""
    shown = run(
        "systemctl", "show", "systemd-journald", "--property=ActiveEnterTimestampMonotonic", "--value"
    )
    started = time.time() - time.monotonic() + int(shown.strip() or 0) / 1e6
    if os.path.exists(limits) and os.stat(limits).st_mtime > started:
        run("systemctl", "restart", "systemd-journald")


def rewind(state=STATE):
    """Put the forwarder's place in the journal back after a crash; return the new place, if there is one."""
    marker = os.path.join(state, CLEAN)
    if os.path.exists(marker):
        os.unlink(marker)
        return None
    cursor = read(os.path.join(state, CURSOR)).strip()
    if not cursor:
        return None
    entries = journal("--reverse", f"--lines={REWIND}", f"--cursor={cursor}")
    if not entries:
        return None
    earlier = entries[-1]["__CURSOR"]
    write(os.path.join(state, CURSOR), earlier)
    print(f"{NOTICE}rsyslog did not end well: the last {len(entries)} messages are read again")
    return earlier


def stopped(result, state=STATE):
    """Note that rsyslog ended well (systemd's ``SERVICE_RESULT``)."""
    if result == "success":
        write(os.path.join(state, CLEAN), "")


def report(state=STATE, now=None):
    """Bring the state file up to date and say what changed; return the state."""
    now = now or time.time()
    before = json.loads(read(os.path.join(state, HEALTH)) or "{}")
    health = counted(before, latest(read(os.path.join(state, STATS))))
    after = [f"--after-cursor={before['cursor']}"] if before.get("cursor") else ["--boot"]
    entries = journal(f"MESSAGE_ID={SUPPRESSED}", *after)
    health["suppressed"] = before.get("suppressed", 0) + sum(suppressed(entry) for entry in entries)
    health["cursor"] = entries[-1]["__CURSOR"] if entries else before.get("cursor") or place()
    health["queued_bytes"] = size_of_queue(state)
    line = message(before, health, now)
    health["said"] = now if line else before.get("said", 0)
    health["at"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
    write(os.path.join(state, HEALTH), json.dumps(health, indent=1, sort_keys=True) + "\n")
    shorten(os.path.join(state, STATS))
    if line:
        print(line, flush=True)
    return health


def latest(text):
    """Return the newest counters of the queue, by its name, from impstats' lines. Pure."""
    found = {}
    for line in text.splitlines():
        _before, brace, rest = line.partition("{")
        with contextlib.suppress(ValueError):
            entry = json.loads(brace + rest)
            if entry.get("name") == QUEUE:
                found[entry["name"]] = entry
    return found


def counted(before, counters):
    """Return the state with rsyslog's counters added, which begin at zero whenever it starts. Pure."""
    queue = counters.get(QUEUE, {})
    now = {"dropped": sum(queue.get(name, 0) for name in DROPPED), "taken": queue.get("enqueued", 0)}
    seen = before.get("seen", {})
    # The number of messages taken only falls where rsyslog has started again.
    again = now["taken"] < seen.get("taken", 0)
    new = now["dropped"] - (0 if again else seen.get("dropped", 0))
    if not queue:
        now, new = seen, 0
    return {
        "dropped": before.get("dropped", 0) + max(new, 0),
        "queued": queue.get("size", before.get("queued", 0)),
        "seen": now,
    }


def suppressed(entry):
    """Return how many messages the journal says it suppressed. Pure."""
    count = entry.get("N_DROPPED")
    match = re.search(r"Suppressed (\d+) messages", str(entry.get("MESSAGE", "")))
    return int(count) if count else int(match[1]) if match else 0


def message(before, health, now):
    """Return what to say in the journal: each loss at once, and once an hour that all is well. Pure."""
    lost = {name: health[name] - before.get(name, 0) for name in ("dropped", "suppressed")}
    shown = ("dropped", "suppressed", "queued", "queued_bytes")
    numbers = json.dumps({name: health[name] for name in shown})
    if any(lost.values()):
        words = f"lost: {lost['dropped']} by a full queue, {lost['suppressed']} by the journal's rate limit;"
        return f"{ERROR}{words} in all {numbers}"
    return f"{NOTICE}in all {numbers}" if now - before.get("said", 0) >= HEARTBEAT else None


def journal(*arguments):
    """Return entries of the journal; none where it has nothing, or not the place asked for."""
    shown = run("journalctl", "--quiet", "--no-pager", "--output=json", *arguments)
    return [json.loads(line) for line in shown.splitlines()]


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


def shorten(path):
    """Empty the file of counters when it is large; rsyslog appends to it, and the counters are sums."""
    with contextlib.suppress(FileNotFoundError):
        if os.stat(path).st_size > STATS_LIMIT:
            os.truncate(path, 0)


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
    """Do one of the three."""
    if command == "before":
        refresh()
        rewind()
    elif command == "after":
        stopped(os.environ.get("SERVICE_RESULT"))
    else:
        report()


if __name__ == "__main__":
    main(sys.argv[1])
