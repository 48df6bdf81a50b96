"""What is wrong is said in one sentence, and nothing of a bad source is used."""

from __future__ import annotations

import sqlite3


def refusal(controller, source: str, **environment: str) -> str:
    """Run ansible-inventory on a bad source and return what it said; no host may come through."""
    result = controller.run("ansible-inventory", "-i", source, "--list", **environment)
    assert result.returncode != 0
    assert "Traceback" not in result.stderr
    assert "dk-0" not in result.stdout
    return result.stderr


def test_a_missing_cmdb_says_how_to_make_one(controller):
    said = refusal(controller, controller.source(), DRCLOUD_CMDB_URL="sqlite:////nowhere/cmdb.sqlite3")
    assert "there is no CMDB in /nowhere/cmdb.sqlite3 yet: run `drcloud init`" in said


def test_an_empty_cmdb_is_an_error(controller):
    said = refusal(controller, controller.source())
    assert "the CMDB holds no hosts: declare hosts in a file and run `drcloud cmdb import FILE`" in said


def test_a_cmdb_of_a_newer_schema_is_refused(controller):
    connection = sqlite3.connect(controller.directory / "cmdb.sqlite3")
    with connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    said = refusal(controller, controller.source())
    assert "schema" in said
    assert "newer" in said


def test_a_file_that_is_no_database_is_refused(controller):
    (controller.directory / "letter").write_text("this is a letter, not a database\n" * 100)
    url = f"sqlite:///{controller.directory}/letter"
    said = refusal(controller, controller.source(), DRCLOUD_CMDB_URL=url)
    assert "is not an SQLite database" in said


BAD = {
    "keyed_group: []": "unknown option keyed_group; did you mean keyed_groups?",
    "ssh: {folder: x}": "unknown option ssh.folder",
    "ssh: {identity_file: x}": "option ssh.directory is missing",
    "ssh: {directory: '${DRC_UNSET}'}": "option ssh.directory: the environment variable DRC_UNSET is not set",
    "ssh: {directory: /proc/nothing}": "cannot write the SSH configuration in /proc/nothing",
    "ssh: [directory]": "ssh",
    "url: oracle://x": "'oracle://x' is not usable",
    "compose: {broken: dr_role ==}": "bad7.cmdb.yml: option compose.broken: the expression 'dr_role ==' ",
    "groups: {broken: no_such_variable == 1}": "Could not add host bastion-01 to group broken",
    "keyed_groups: [{key: no_such_variable}]": "Could not generate group for host bastion-01",
    # db-01 and dk-01 could be grouped, the bastion cannot: half a fleet is withdrawn.
    "keyed_groups: [{key: dr_attrs.team}]": "Could not generate group for host bastion-01 from dr_attrs.team",
    "keyed_groups: 7": "keyed_groups",
}


def test_bad_sources_name_what_is_wrong_and_give_no_host_even_where_ansible_only_warns(idc):
    sources = [idc.source(f"{text}\n", f"bad{number}.cmdb.yml") for number, text in enumerate(BAD)]
    arguments = [argument for source in sources for argument in ("-i", source)]
    lax = {"ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "false"}
    result = idc.run("ansible-inventory", *arguments, "--list", **lax)
    assert '"hostvars": {}' in result.stdout
    assert "Traceback" not in result.stderr
    # ansible-core tells of a source when it leaves it.
    told = result.stderr.split("as an inventory source")
    for (text, said), part in zip(BAD.items(), told, strict=False):
        assert said in part, text


def test_an_expression_that_fails_is_skipped_only_when_asked(idc):
    source = idc.source("strict: false\ngroups: {broken: no_such_variable == 1}\n", "lax.cmdb.yml")
    inventory = idc.inventory(source)
    assert len(inventory["_meta"]["hostvars"]) == 12
    assert "broken" not in inventory


def test_two_racks_that_would_share_a_group_are_named(controller, fleet):
    document = fleet(2)
    document["idcs"][0]["rooms"][0]["racks"] = ["a-1", "a.1"]
    for host, rack in zip(document["hosts"], ("a-1", "a.1"), strict=True):
        host["rack"] = f"sh1/2f/{rack}"
    controller.load(document)
    said = "rack 'sh1/2f/a-1' and rack 'sh1/2f/a.1' would both be the inventory group rack_sh1_2f_a_1"
    assert said in refusal(controller, controller.source())


def test_a_file_of_another_name_is_not_for_this_plugin(idc):
    assert "could not be verified" in refusal(idc, idc.source(name="site.yml"))


def test_a_package_of_another_version_is_named(controller):
    package = controller.directory / "other" / "drcloud"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("__version__ = '9.9.9'\n")
    said = refusal(controller, controller.source(), PYTHONPATH=str(package.parent))
    assert "needs the Python package drcloud" in said
    assert "is version 9.9.9 there; run: " in said
