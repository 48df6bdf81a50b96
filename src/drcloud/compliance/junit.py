"""JUnit XML: a suite for each host, a case for each control."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from drcloud.compliance.controls import BY_SLUG, Status
from drcloud.compliance.outcome import ControlOutcome, HostOutcome, Report

# What XML 1.0 allows (https://www.w3.org/TR/xml/#charsets); everything else is not text but noise.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
COVERAGE = "coverage"
TAGS = ("failure", "error", "skipped")


def render(report: Report) -> str:
    """Return the report as a JUnit document that any reader accepts."""
    root = ElementTree.Element("testsuites", name="drcloud compliance")
    for host in report.hosts:
        root.append(_suite(report, host))
    if not report.hosts:
        suite = ElementTree.SubElement(root, "testsuite", name=COVERAGE)
        case = ElementTree.SubElement(suite, "testcase", name=COVERAGE, classname="compliance")
        _say(case, "error", "incomplete", [report.sentence])
        _count(suite)
    for tag in ("tests", *(f"{tag}s" for tag in TAGS[:2]), "skipped"):
        root.set(tag, str(sum(int(suite.get(tag, "0")) for suite in root)))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def clean(text: str) -> str:
    """Return text without the characters that XML cannot carry."""
    return _FORBIDDEN.sub("\ufffd", text)


def _suite(report: Report, host: HostOutcome) -> ElementTree.Element:
    suite = ElementTree.Element("testsuite", name=clean(host.host))
    coverage = _case(suite, host, COVERAGE)
    if not host.seen:
        _say(coverage, "error", "incomplete", [f"{host.host} was not seen: {host.reason}"])
    for outcome in host.controls:
        _judge(report, _case(suite, host, outcome.control), outcome)
    _count(suite)
    return suite


def _case(suite: ElementTree.Element, host: HostOutcome, name: str) -> ElementTree.Element:
    return ElementTree.SubElement(suite, "testcase", name=name, classname=clean(f"compliance.{host.host}"))


def _judge(report: Report, case: ElementTree.Element, outcome: ControlOutcome) -> None:
    unknown = [problem.message for problem in outcome.problems if problem.status == Status.UNKNOWN]
    failed = [f"{problem.object}: {problem.message}" for problem in outcome.failed()]
    severity = outcome.severity.label
    if failed and report.counts(outcome):
        control = BY_SLUG.get(outcome.control)
        hint = [f"What to do: {control.remediation}"] if control else []
        _say(case, "failure", severity, [*failed, *unknown, *hint])
    elif unknown:
        _say(case, "error", "unknown", [*unknown, *failed])
    elif failed:
        below = f"below the threshold {report.threshold}: {severity}"
        _say(case, "skipped", severity, [f"{below}: {line}" for line in failed])
    elif outcome.status == Status.NOT_APPLICABLE:
        _say(case, "skipped", "not-applicable", ["does not apply to this host"])


def _say(case: ElementTree.Element, tag: str, kind: str, lines: list[str]) -> None:
    more = f" (and {len(lines) - 1} more lines)" if len(lines) > 1 else ""
    said = ElementTree.SubElement(case, tag, message=clean(lines[0] + more))
    if tag != "skipped":
        said.set("type", kind)
    said.text = clean("\n".join(lines))


def _count(suite: ElementTree.Element) -> None:
    suite.set("tests", str(len(suite)))
    for tag in TAGS:
        name = tag if tag == "skipped" else f"{tag}s"
        suite.set(name, str(len(suite.findall(f"testcase/{tag}"))))
