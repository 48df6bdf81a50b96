#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: app_container
short_description: Run the instances of an app on a Docker host
version_added: 0.1.0
description:
  - The host's half of a roll. It starts an instance in one of the two slots, waits until it is healthy,
    stops the old one, and tells which instances are there. It never decides which one serves;
    M(dianrong.cloud.app_switch) does.
  - Images are named by digest and pulled from their registry; a local image of the same tag is never used
    in their place.
  - A container without the labels of drCloud is never touched.
  - An instance that does not become healthy is removed again, after its last log lines were read.
  - Secrets are files in C(/var/lib/drcloud/secrets), behind a directory that only root may enter, and each
    container sees its own in C(/run/secrets). They go with the container, and outlive a restart of the host.
  - What an instance was made of is recorded in C(/var/lib/drcloud/instances), as keyed hashes that only root
    reads. C(differs) of an instance names the kinds of settings in which it is another one now.
author:
  - drCloud contributors (@dianrong)
options:
  state:
    description:
      - V(observed) tells what is there.
      - V(prepared) pulls the image and checks that ports, memory and room for its layers are free, unless a
        healthy instance of this revision runs already. In check mode it asks the registry, with the host's
        credentials, whether the image could be pulled.
      - V(started) starts an instance of the revision in O(slot) and waits until it is healthy.
      - V(stopped) stops the instance in O(slot), if one runs, and keeps it for going back.
      - V(absent) removes the instance in O(slot), running or not.
      - V(hooked) runs O(hook) in a container of the image beside the instances, and waits until it has ended
        with 0.
    type: str
    choices: [observed, prepared, started, stopped, absent, hooked]
    default: observed
  app:
    description: The app.
    type: str
    required: true
  env:
    description: The environment.
    type: str
    required: true
  slot:
    description: The slot that O(state=started), O(state=stopped) and O(state=absent) are about.
    type: str
    choices: [a, b]
  image:
    description: The image by digest, C(registry:port/repository@sha256:...).
    type: str
  layers:
    description:
      - The layers of O(image), as far as they are known, the digest of each one's content with the bytes
        that are sent.
      - Where those that are not here would not fit on the engine's disk, O(state=prepared) refuses.
    type: dict
    default: {}
  hook:
    description: The command of O(state=hooked).
    type: dict
    suboptions:
      command:
        description: The command and its arguments.
        type: list
        elements: str
        required: true
      timeout:
        description: Seconds after which it is killed and counts as failed.
        type: float
        default: 300
  tag:
    description: The tag that was asked for; kept as a label.
    type: str
  revision:
    description: The revision, see the words of drCloud.
    type: str
  deployment:
    description: The deployment that starts the instance; kept as a label.
    type: str
    default: ""
  cmdb:
    description: Which CMDB the instance belongs to; kept as a label.
    type: str
    default: drcloud
  host:
    description: The name of this host in the CMDB.
    type: str
    default: ""
  adopted:
    description:
      - The container that the app has in slot C(a) although somebody else started it. It counts as an
        instance of the revision C(adopted), is stopped where an instance would be removed, and never removed.
    type: str
    default: ""
  address:
    description: The address of this host that the app's port is published on.
    type: str
  slots:
    description: The host port of each slot.
    type: dict
    default: {}
  spec:
    description: The specification of the app for this environment.
    type: dict
    suboptions:
      port:
        description: The port that the app listens on inside the container.
        type: int
        required: true
      env:
        description: Environment variables.
        type: dict
        default: {}
      command:
        description: The command and its arguments, if not the image's.
        type: list
        elements: str
      health:
        description: How to tell that an instance works. Times are seconds.
        type: dict
        required: true
        suboptions:
          kind:
            description: Whether to ask over HTTP, to connect, or to run a command in the container.
            type: str
            choices: [http, tcp, exec]
            default: http
          path:
            description: The path that answers 2xx when the instance works, of O(spec.health.kind=http).
            type: str
            default: /healthz
          command:
            description: The command that ends with 0 when the instance works, of O(spec.health.kind=exec).
            type: list
            elements: str
          interval:
            description: Time between two looks.
            type: float
            required: true
          timeout:
            description: How long one answer may take.
            type: float
            required: true
          retries:
            description: How many looks must fail in a row.
            type: int
            required: true
          start_period:
            description: How long a new instance may take before failures count.
            type: float
            required: true
          min_healthy:
            description: How long it must stay healthy without a break.
            type: float
            required: true
      resources:
        description: Limits of the instance.
        type: dict
        default: {}
        suboptions:
          memory:
            description: Bytes, with an optional suffix k, m or g.
            type: str
          cpus:
            description: Number of CPUs.
            type: float
          pids:
            description: Number of processes.
            type: int
          ulimits:
            description:
              - Limits of the kernel by name, as C(nofile); each has C(soft) and perhaps C(hard).
            type: dict
            default: {}
      volumes:
        description: File systems of the host that the instance sees. Each must be mounted.
        type: list
        elements: dict
        default: []
        suboptions:
          source:
            description: Where it is mounted on the host.
            type: path
            required: true
          target:
            description: Where the container sees it.
            type: str
            required: true
          read_only:
            description: Whether the instance may only read it.
            type: bool
            default: false
      devices:
        description: Block devices of the host that the instance sees.
        type: list
        elements: dict
        default: []
        suboptions:
          source:
            description: The device on the host.
            type: path
            required: true
          target:
            description: The device in the container.
            type: str
            required: true
          access:
            description: What the instance may do with it, read, write and make its node.
            type: str
            choices: [r, rw, rwm]
            default: rw
      log:
        description: Where the engine keeps what the instance writes.
        type: dict
        default: {}
        suboptions:
          driver:
            description: The log driver, if not the engine's own.
            type: str
            choices: [journald, json-file, local]
          options:
            description: Options of the log driver.
            type: dict
            default: {}
      labels:
        description: Labels of the container beside those of drCloud.
        type: dict
        default: {}
      restart:
        description: When the engine starts an instance again that has ended.
        type: str
        choices: [unless-stopped, on-failure, never]
        default: unless-stopped
      read_only:
        description: Whether the root file system is read-only. C(/tmp) is a small tmpfs then.
        type: bool
        default: true
      user:
        description: The user inside the container, if not the image's.
        type: str
      cap_add:
        description: Capabilities; all others are dropped.
        type: list
        elements: str
        default: []
      stop_signal:
        description: The signal that asks the app to stop.
        type: str
        default: SIGTERM
      stop_grace:
        description: How long it may take to stop before it is killed.
        type: float
        default: 10
  secrets:
    description: Secrets by name, each as base64. The instance finds them as files in C(/run/secrets).
    type: dict
    default: {}
  secret_env:
    description:
      - Secrets by name, each as base64, that the instance gets as environment variables. Whoever may use
        the engine's socket reads them there; a file is better where the app can read one.
    type: dict
    default: {}
  token:
    description:
      - The fencing token of the lease under which this roll runs. A token lower than one seen before is
        refused.
      - V(0) is for acting by hand, under no lease.
    type: int
    default: 0
  keep:
    description: How many stopped instances O(state=stopped) leaves on the host, to go back to.
    type: int
    default: 1
  words:
    description:
      - With O(state=observed), whether the instance of O(revision) also tells what is wrong with it and the
        last lines that it wrote.
      - What O(secrets) and O(secret_env) hold is hidden there, so give those too.
    type: bool
    default: false
  config_file:
    description: Where the registry credentials are, in the form of Docker's C(config.json).
    type: path
    default: /etc/drcloud/docker/config.json
  socket:
    description: The Unix socket of the engine.
    type: path
    default: /var/run/docker.sock
extends_documentation_fragment:
  - dianrong.cloud._attributes
notes:
  - Needs root, or a user who may use the engine's socket, and Python's standard library only.
seealso:
  - module: dianrong.cloud.app_switch
"""

EXAMPLES = r"""
- name: See which instances of demo run here
  dianrong.cloud.app_container:
    app: demo
    env: prod
  become: true
  register: demo

- name: Stop the instance in slot a
  dianrong.cloud.app_container:
    app: demo
    env: prod
    slot: a
    state: stopped
  become: true
"""

RETURN = r"""
instances:
  description:
    - All instances of drCloud on this host, of every app, as they are now.
    - With O(words) the instance in question has C(said), what is wrong with it, and C(logs), its last lines.
  returned: always
  type: list
  elements: dict
  sample:
    - name: demo_prod_a_5d41402a
      app: demo
      env: prod
      slot: a
      tag: rt68
      digest: "sha256:0b4e..."
      revision: 5d41402a...
      status: running
      health: healthy
      restarts: 0
      differs: []
pull:
  description:
    - What O(state=prepared) pulls, or would, where the host lacks it; C(bytes) are those of the layers of
      O(layers) that are not there yet, none where they are not known.
  returned: success
  type: dict
  sample:
    image: registry:5000/dianrong/demo@sha256:0b4e...
    bytes: 4194304
kind:
  description: Whose failure it was, V(app), V(host) or V(registry).
  returned: on failure
  type: str
logs:
  description: The last lines that an instance wrote which did not become healthy.
  returned: when an instance did not become healthy
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dianrong.cloud.plugins.module_utils import (
    _fence,
    _health,
    _hook,
    _instance,
    _preflight,
    _record,
    _secrets,
)
from ansible_collections.dianrong.cloud.plugins.module_utils._engine import (
    Engine,
    EngineError,
    RegistryError,
    credentials,
)

# In the place of a slot.
HOOK = "hook"
# The states in which an exit code means something.
ENDED = ("exited", "dead", "restarting")
NEEDED = {
    "observed": (),
    "prepared": ("image", "revision", "address", "spec"),
    "started": ("slot", "image", "tag", "revision", "address", "spec"),
    "stopped": ("slot",),
    "absent": ("slot",),
    "hooked": ("image", "tag", "revision", "address", "spec", "hook"),
}


class InstanceError(Exception):
    """What went wrong, and whose failure it is."""

    def __init__(self, message, kind="host", logs=()):
        super().__init__(message)
        self.kind = kind
        self.logs = list(logs)


class Instances:
    """The instances of one app in one environment on this host."""

    def __init__(self, module, engine):
        self.params = module.params
        self.dry = module.check_mode
        self.engine = engine
        self.files = _secrets.decoded(module.params["secrets"])
        self.variables = _secrets.decoded(module.params["secret_env"])
        self.before = self.get_existing()
        self.changes = []
        self.lacks = None

    def get_existing(self):
        """Return all instances of ours on this host, and what the app has here that was never deployed."""
        found = []
        for container in self.engine.containers(_instance.MARK):
            entry = _instance.describe(container)
            if entry is not None:
                found.append(dict(entry, differs=_record.differing(container)))
        other = self.engine.inspect(self.params["adopted"]) if self.params["adopted"] else None
        if other is not None and _instance.describe(other) is None:
            found.append(_instance.adopted(other, self.params["app"], self.params["env"]))
        return found

    def of_app(self):
        """Return those of the app and environment in question."""
        return [
            entry for entry in self.before if all(entry[key] == self.params[key] for key in ("app", "env"))
        ]

    def in_slot(self):
        """Return those in the slot in question."""
        return [entry for entry in self.of_app() if entry["slot"] == self.params["slot"]]

    def wanted(self, instance):
        """Tell whether an instance runs the revision in question."""
        return instance["status"] == "running" and instance["revision"] == self.params["revision"]

    def observed(self):
        """Change nothing."""

    def prepared(self):
        """Pull the image and check what must be free, unless there is nothing to start here."""
        if any(self.wanted(entry) and self.probe(entry) is None for entry in self.of_app()):
            return
        _preflight.disks(self.params["spec"])
        running = [entry["slot"] for entry in self.of_app() if entry["status"] in _instance.LIVE]
        for slot, port in sorted(self.params["slots"].items()):
            if slot not in running:
                _preflight.port(self.engine, self.params["address"], port)
        _preflight.memory((self.params["spec"].get("resources") or {}).get("memory"))
        if not self.engine.has_image(self.params["image"]):
            sent = _preflight.room(self.engine, self.params["layers"])
            self.lacks = {"image": self.params["image"], "bytes": sent}
            self.changes.append("pull {}".format(self.params["image"]))
            self.pull()

    def pull(self):
        """Pull the image with the host's credentials; there is no other image to fall back to.

        In check mode the registry is asked, with the same credentials, and nothing is pulled.
        """
        image = self.params["image"]
        auth = credentials(self.params["config_file"], image)
        try:
            if self.dry:
                self.engine.ask_registry(image, auth)
                return
            self.engine.pull(image, auth)
        except RegistryError as error:
            raise InstanceError(str(error), "registry") from error
        if not self.engine.has_image(self.params["image"]):
            raise InstanceError(
                "pulled {}, but the engine does not have it".format(self.params["image"]), "registry"
            )

    def started(self):
        """Start an instance in the slot and wait until it is healthy; remove it if it never is."""
        with self.fence():
            container = self.start()
        if container is None:
            return
        try:
            _health.wait(
                lambda: self.gone(container),
                lambda: self.probe({"id": container, "slot": self.params["slot"]}),
                self.params["spec"]["health"],
            )
        except _health.UnhealthyError as error:
            logs = self.hidden(self.engine.logs(container))
            with self.fence():
                self.remove(
                    {
                        "id": container,
                        "name": self.name(),
                        "revision": self.params["revision"],
                        "status": "running",
                    }
                )
            self.changes = []
            [message] = self.hidden([str(error)])
            raise InstanceError(message, "app", logs) from error

    def hidden(self, lines):
        """Return lines of the app without its secrets."""
        return _secrets.hidden(lines, [*self.files.values(), *self.variables.values()])

    def name(self, slot=None):
        """Return the name of the instance in question."""
        params = self.params
        return _instance.container_name(
            params["app"], params["env"], slot or params["slot"], params["revision"]
        )

    def remove(self, entry):
        """Remove an instance, its secrets and its record; what was never deployed is only stopped."""
        if entry.get("revision") == _instance.ADOPTED:
            self.stop(entry)
            return
        self.engine.remove(entry["id"])
        self.forget(entry["name"])

    def forget(self, name):
        """Remove what is kept of an instance beside its container."""
        _secrets.remove(name)
        _record.remove(name)

    def stop(self, entry):
        """Stop an instance for good."""
        if entry["revision"] == _instance.ADOPTED:
            self.engine.stay_stopped(entry["id"])
        if entry["status"] in _instance.LIVE:
            self.engine.stop(entry["id"], self.grace())

    def start(self):
        """Make room, create and start; return the container, or None where nothing is to be waited for."""
        running = [entry for entry in self.in_slot() if self.wanted(entry)]
        if running:
            return None if self.dry else running[0]["id"]
        name = self.name()
        self.changes.append(f"start {name}")
        if self.dry:
            return None
        for entry in self.in_slot():
            if entry["status"] in _instance.LIVE or entry["name"] == name:
                self.remove(entry)
        if self.params["revision"] == _instance.ADOPTED:
            return self.start_again()
        _preflight.port(self.engine, self.params["address"], self.port(self.params["slot"]))
        _preflight.disks(self.params["spec"])
        if not self.engine.has_image(self.params["image"]):
            self.pull()
        return self.create(name)

    def start_again(self):
        """Start the container that was never deployed: it is what there was."""
        for entry in self.in_slot():
            if entry["revision"] == _instance.ADOPTED:
                self.engine.start(entry["id"])
                return entry["id"]
        raise InstanceError("the container {} is not there any more".format(self.params["adopted"]))

    def create(self, name):
        """Create, record and start; leave nothing behind where that is refused."""
        place = _secrets.write(name, self.files) if self.files else None
        try:
            container = self.engine.create(name, self.payload(place))
        except EngineError as error:
            _secrets.remove(name)
            raise InstanceError(f"cannot create {name}: {self.told(error)}") from error
        try:
            self.record(container)
            self.engine.start(container)
        except OSError as error:
            self.remove({"id": container, "name": name})
            raise InstanceError(f"cannot record what {name} was made of: {error}") from error
        except EngineError as error:
            self.remove({"id": container, "name": name})
            raise InstanceError(f"cannot start {name}: {self.told(error)}", "app") from error
        return container

    def record(self, container):
        """Record what the engine made, before anybody can change it."""
        made = self.engine.inspect(container)
        if made is not None:
            _record.write(made)

    def told(self, error):
        """Return what the engine says, without secrets that it may repeat."""
        [message] = _secrets.hidden([str(error)], self.variables.values())
        return message

    def payload(self, place):
        """Return what the engine is asked to create; C(place) is where its secrets are."""
        params = self.params
        digest = params["image"].partition("@")[2]
        marks = _instance.labels(
            params["cmdb"],
            digest=digest,
            slot=params["slot"] or HOOK,
            **{key: params[key] for key in ("app", "env", "tag", "revision", "deployment")},
        )
        # A hook is no instance: nothing of it is published.
        port = self.port(params["slot"]) if params["slot"] else 0
        publish = {"address": params["address"], "port": port}
        given = {
            "secrets": place,
            "env": {name: content.decode("utf-8") for name, content in self.variables.items()},
        }
        return _instance.payload(params["image"], params["spec"], marks, publish, params["host"], given)

    def gone(self, container):
        """Return what happened to a container that should run, or None."""
        inspected = self.engine.inspect(container)
        if inspected is None:
            return "its container was removed by somebody else"
        state = inspected["State"]
        if state.get("Running") and not state.get("Restarting") and not inspected.get("RestartCount"):
            return None
        return f"it ended with {exit_of(state)}"

    def stopped(self):
        """Stop what runs in the slot, keep it, and let go of older ones."""
        with self.fence():
            running = [entry for entry in self.in_slot() if entry["status"] in _instance.LIVE]
            for entry in running:
                self.changes.append("stop {}".format(entry["name"]))
                if not self.dry:
                    self.stop(entry)
            self.retire(running)

    def retire(self, just_stopped):
        """Remove stopped instances beyond retention; those just stopped count as the newest."""
        entries = [
            dict(entry, status="exited") if entry in just_stopped else entry for entry in self.of_app()
        ]
        for entry in _instance.retired(entries, self.params["keep"]):
            self.changes.append("remove {}".format(entry["name"]))
            if not self.dry:
                self.remove(entry)

    def absent(self):
        """Remove what is in the slot; what was never deployed is stopped, and kept."""
        with self.fence():
            for entry in self.in_slot():
                if entry["revision"] == _instance.ADOPTED and entry["status"] not in _instance.LIVE:
                    continue
                self.changes.append("remove {}".format(entry["name"]))
                if not self.dry:
                    self.remove(entry)

    def hooked(self):
        """Run a command of the app beside its instances; what it wrote is told where it fails.

        Its name has the roll's token: what an older roll still does here is to its own, and to nothing else.
        """
        hook, name = self.params["hook"], "{}_{}".format(self.name(HOOK), self.params["token"])
        self.changes.append("run {}".format(" ".join(hook["command"])))
        if self.dry:
            return
        try:
            with self.fence():
                container = self.create_hook(name, hook["command"])
            _hook.run(self.engine, container, hook["timeout"])
        except _hook.HookError as error:
            [message], logs = self.hidden([str(error)]), self.hidden(error.logs)
            raise InstanceError("the hook {} {}".format(hook["command"][0], message), "app", logs) from error
        finally:
            _secrets.remove(name)

    def create_hook(self, name, command):
        """Return the container of a hook, with its secrets; none of an older roll is left then."""
        if not self.engine.has_image(self.params["image"]):
            self.pull()
        for earlier, container in _hook.left(self.engine, self.subject()).items():
            self.engine.remove(container)
            _secrets.remove(earlier)
        place = _secrets.write(name, self.files) if self.files else None
        instance = self.payload(place)
        mounts = [one for one in instance["HostConfig"].get("Mounts", ()) if one["Source"] == place]
        return self.engine.create(name, _hook.payload(instance, command, self.subject(), mounts))

    def subject(self):
        """Return the app and environment in question."""
        return "{}@{}".format(self.params["app"], self.params["env"])

    def sweep(self, instances):
        """Remove what a crash left of instances; seen again under the fence, another may start one now."""
        beginning = "{}_{}_".format(self.params["app"], self.params["env"])
        if strays(beginning, {entry["name"] for entry in instances}):
            with self.fence():
                known = {entry["name"] for entry in self.get_existing()}
                known |= set(_hook.left(self.engine, self.subject()))
                for name in strays(beginning, known):
                    self.forget(name)

    def fence(self):
        """Hold the fence of this app and environment."""
        return _fence.held(self.subject(), self.params["token"], dry=self.dry)

    def grace(self):
        """Return how long an instance may take to stop, in seconds."""
        return self.params["spec"]["stop_grace"] if self.params["spec"] else 10

    def port(self, slot):
        """Return the host port of a slot."""
        if slot not in self.params["slots"]:
            raise InstanceError(f"slot {slot} has no host port: import the placement again")
        return int(self.params["slots"][slot])

    def probe(self, entry):
        """Return what is wrong with a running instance, or None."""
        try:
            return _health.ask(
                self.params["spec"]["health"],
                self.params["address"],
                self.port(entry["slot"]),
                lambda command, timeout: self.engine.execute(entry["id"], command, timeout),
            )
        except EngineError as error:
            return str(error)

    def after(self):
        """Return all instances of ours as they are now, with the health of those of this app."""
        instances = self.before if self.dry else self.get_existing()
        if not self.dry and self.params["state"] in {"started", "stopped", "absent"}:
            self.sweep(instances)
        for entry in instances:
            ours = all(entry[key] == self.params[key] for key in ("app", "env"))
            known = (
                ours
                and self.params["spec"]
                and self.params["address"]
                and entry["slot"] in self.params["slots"]
            )
            wrong = None
            if entry["status"] == "running" and known:
                wrong = self.probe(entry)
                entry["health"] = "healthy" if wrong is None else "unhealthy"
            if ours and self.params["words"] and entry["revision"] == self.params["revision"]:
                entry.update(self.last_words(entry, wrong))
        return instances

    def last_words(self, entry, wrong):
        """Return what is wrong with an instance, an empty text for nothing, and the last lines it wrote."""
        inspected = self.engine.inspect(entry["id"]) if entry["status"] in ENDED else None
        if inspected is not None:
            wrong = exit_of(inspected["State"])
        # Of one that ended and was started again, what it wrote before it ended.
        again = entry["restarts"] and entry["status"] == "running"
        logs = self.engine.logs(entry["id"], before=entry["started_at"] if again else "")
        [said] = self.hidden([wrong or ""])
        return {"said": said, "logs": self.hidden(logs)}


def exit_of(state):
    """Return how a container ended, from its inspected state."""
    reason = " (out of memory)" if state.get("OOMKilled") else ""
    return "exit code {}{}".format(state.get("ExitCode"), reason)


def strays(beginning, known):
    """Return the names of instances that are gone and of which something is kept."""
    return {
        name
        for root in (_secrets.DIRECTORY, _record.DIRECTORY)
        for name in _secrets.strays(beginning, known, root)
    }


def health_options():
    """Return the options of a health check."""
    times = ("interval", "timeout", "start_period", "min_healthy")
    return {
        "kind": {"type": "str", "choices": ["http", "tcp", "exec"], "default": "http"},
        "path": {"type": "str", "default": "/healthz"},
        "command": {"type": "list", "elements": "str"},
        "retries": {"type": "int", "required": True},
        **{name: {"type": "float", "required": True} for name in times},
    }


def disk_options():
    """Return the options of volumes and devices."""
    volume = {
        "source": {"type": "path", "required": True},
        "target": {"type": "str", "required": True},
        "read_only": {"type": "bool", "default": False},
    }
    device = {
        "source": {"type": "path", "required": True},
        "target": {"type": "str", "required": True},
        "access": {"type": "str", "choices": ["r", "rw", "rwm"], "default": "rw"},
    }
    return {
        "volumes": {"type": "list", "elements": "dict", "default": [], "options": volume},
        "devices": {"type": "list", "elements": "dict", "default": [], "options": device},
    }


def spec_options():
    """Return the options of a specification; the controller validated it as a whole."""
    resources = {
        "memory": {"type": "str"},
        "cpus": {"type": "float"},
        "pids": {"type": "int"},
        "ulimits": {"type": "dict", "default": {}},
    }
    log = {
        "driver": {"type": "str", "choices": ["journald", "json-file", "local"]},
        "options": {"type": "dict", "default": {}},
    }
    restarts = ["unless-stopped", "on-failure", "never"]
    return {
        "port": {"type": "int", "required": True},
        "command": {"type": "list", "elements": "str"},
        "env": {"type": "dict", "default": {}},
        "health": {
            "type": "dict",
            "required": True,
            "options": health_options(),
            "required_if": [("kind", "exec", ("command",))],
        },
        "resources": {"type": "dict", "default": {}, "options": resources},
        **disk_options(),
        "log": {"type": "dict", "default": {}, "options": log},
        "labels": {"type": "dict", "default": {}},
        "restart": {"type": "str", "choices": restarts, "default": "unless-stopped"},
        "read_only": {"type": "bool", "default": True},
        "user": {"type": "str"},
        "cap_add": {"type": "list", "elements": "str", "default": []},
        "stop_signal": {"type": "str", "default": "SIGTERM"},
        "stop_grace": {"type": "float", "default": 10},
    }


def hook_options():
    """Return the options of a hook."""
    return {
        "command": {"type": "list", "elements": "str", "required": True},
        "timeout": {"type": "float", "default": 300},
    }


def argument_spec():
    """Return the options of this module."""
    return {
        "state": {"type": "str", "default": "observed", "choices": list(NEEDED)},
        "app": {"type": "str", "required": True},
        "env": {"type": "str", "required": True},
        "slot": {"type": "str", "choices": ["a", "b"]},
        "image": {"type": "str"},
        "layers": {"type": "dict", "default": {}},
        "hook": {"type": "dict", "options": hook_options()},
        "tag": {"type": "str"},
        "revision": {"type": "str"},
        "deployment": {"type": "str", "default": ""},
        "cmdb": {"type": "str", "default": "drcloud"},
        "host": {"type": "str", "default": ""},
        "adopted": {"type": "str", "default": ""},
        "address": {"type": "str"},
        "slots": {"type": "dict", "default": {}},
        "spec": {"type": "dict", "options": spec_options()},
        "secrets": {"type": "dict", "default": {}, "no_log": True},
        "secret_env": {"type": "dict", "default": {}, "no_log": True},
        "token": {"type": "int", "default": 0, "no_log": False},
        "keep": {"type": "int", "default": 1},
        "words": {"type": "bool", "default": False},
        "config_file": {"type": "path", "default": "/etc/drcloud/docker/config.json"},
        "socket": {"type": "path", "default": "/var/run/docker.sock"},
    }


def main():
    """Bring the instances to the state that was asked for."""
    module = AnsibleModule(
        argument_spec=argument_spec(),
        required_if=[("state", state, needed) for state, needed in NEEDED.items() if needed],
        supports_check_mode=True,
    )
    try:
        instances = Instances(module, Engine(module.params["socket"]))
        getattr(instances, module.params["state"])()
        after = instances.after()
    except InstanceError as error:
        module.fail_json(msg=str(error), kind=error.kind, logs=error.logs)
    except (
        EngineError,
        _fence.FencedError,
        _preflight.RefusedError,
        _secrets.SecretsError,
        OSError,
    ) as error:
        module.fail_json(msg=str(error), kind="host", logs=[])
    module.exit_json(
        changed=bool(instances.changes),
        instances=after,
        pull=instances.lacks,
        diff={"before": "", "after": "".join(f"{line}\n" for line in instances.changes)},
    )


if __name__ == "__main__":
    main()
