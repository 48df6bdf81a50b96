"""A run as a JUnit report: a case per host, so that Jenkins shows which host failed and why."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

from drcloud.errors import InvalidInputError
from drcloud.runs.outcome import RunOutcome

# Characters that XML 1.0 cannot hold (https://www.w3.org/TR/xml/#charsets).
_IMPOSSIBLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def report(playbook: str, outcome: RunOutcome) -> ET.Element:
    """Return the report; a run that broke without a host has one failed case of its own name."""
    failures = {failure.host: failure for failure in outcome.failures}
    hosts = sorted({*outcome.stats, *failures}) or [playbook]
    suite = ET.Element("testsuite", name=playbook, tests=str(len(hosts)), id=outcome.uid)
    broken = 0
    for host in hosts:
        case = ET.SubElement(suite, "testcase", classname=playbook, name=host)
        failure = failures.get(host)
        if failure:
            kind = "unreachable" if failure.unreachable else "failed"
            text = _clean(f"{failure.task}: {failure.message}")
            ET.SubElement(case, "failure", type=kind, message=text)
        elif not outcome.ok and not failures:
            ET.SubElement(case, "failure", type=outcome.state, message=_clean(outcome.message))
        broken += len(case)
    suite.set("failures", str(broken))
    return suite


def write(file: Path, playbook: str, outcome: RunOutcome) -> None:
    """Write the report; a directory that does not exist is an error in one sentence."""
    try:
        ET.ElementTree(report(playbook, outcome)).write(file, encoding="utf-8", xml_declaration=True)
    except OSError as error:
        raise InvalidInputError(f"cannot write the JUnit report {file}: {error.strerror}") from error


def _clean(text: str) -> str:
    return _IMPOSSIBLE.sub("?", text)
