# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of our apps a host need not keep: stopped instances and images that nobody goes back to. Pure.

What is not known to be ours stays, and so does what runs, what is kept, and what somebody gave a name.
"""

from __future__ import annotations

from dataclasses import dataclass

# In any other state a container is doing something, or about to.
STOPPED = ("created", "dead", "exited")
NONE = "<none>:<none>"
NO_DIGEST = "<none>@<none>"


@dataclass(frozen=True)
class Rules:
    """What to keep: revisions by (app, env), digests of images; C(repositories) are those of our apps."""

    revisions: dict
    digests: frozenset
    repositories: frozenset


@dataclass(frozen=True)
class Plan:
    """What goes: instances as they describe themselves, names of images by digest, and bytes."""

    instances: tuple
    images: tuple
    bytes: int

    def lines(self):
        """Return what goes, a line each."""
        return [f"container {entry['name']}" for entry in self.instances] + [
            f"image {name}" for name in self.images
        ]


def plan(instances, containers, images, rules):
    """Decide what goes.

    C(instances) are ours, C(containers) all of the host (with C(Id) and C(ImageID)), C(images) as the engine
    lists them. An instance of an app that the rules do not name stays.
    """
    going = tuple(sorted(filter(rules_out(rules), instances), key=lambda entry: entry["name"]))
    gone = {entry["id"] for entry in going}
    used = {container["ImageID"] for container in containers if container["Id"] not in gone}
    doomed = [image for image in images if image["Id"] not in used and _garbage(image, rules)]
    names = sorted(name for image in doomed for name in image["RepoDigests"])
    return Plan(going, tuple(names), sum(image.get("Size") or 0 for image in doomed))


def rules_out(rules):
    """Return the condition on an instance that it goes."""

    def goes(entry):
        kept = rules.revisions.get((entry["app"], entry["env"]))
        return kept is not None and entry["status"] in STOPPED and entry["revision"] not in kept

    return goes


def _garbage(image, rules):
    """Tell whether an image is of our apps only, under no name that a person gave, and not kept."""
    tags = [tag for tag in image.get("RepoTags") or [] if tag != NONE]
    names = [name for name in image.get("RepoDigests") or [] if name != NO_DIGEST]
    if tags or not names:
        return False
    parts = [name.partition("@") for name in names]
    ours = all(repository in rules.repositories for repository, _at, _digest in parts)
    return ours and not any(digest in rules.digests for _repository, _at, digest in parts)
