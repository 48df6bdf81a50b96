"""A source read without Ansible is refused where the inventory plugin refuses it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from drcloud.cmdb import sourcefile
from drcloud.errors import InvalidInputError

PLUGIN = Path(__file__).parents[3] / "collections/dianrong/cloud/plugins/inventory/cmdb.py"


@pytest.fixture
def load(tmp_path):
    """Load a source of some text."""

    def make(text):
        path = tmp_path / "site.cmdb.yml"
        path.write_text(f"plugin: dianrong.cloud.cmdb\n{text}\n", encoding="utf-8")
        return sourcefile.load(path)

    return make


def test_the_options_are_those_of_the_plugin():
    pytest.importorskip("ansible")
    from ansible.plugins.doc_fragments.constructed import ModuleDocFragment

    text = PLUGIN.read_text("utf-8").split('DOCUMENTATION = r"""')[1].split('"""')[0]
    ours = yaml.safe_load(text)["options"]
    constructed = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]
    assert {*sourcefile.KNOWN} == {*ours, *constructed}
    assert {*sourcefile.SSH} == {*ours["ssh"]["suboptions"]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("keyed_group: []", "unknown option keyed_group; did you mean keyed_groups?"),
        ("statee: [active]", "unknown option statee; did you mean state?"),
        ("ssh: {folder: x}", "unknown option ssh.folder"),
        ("ssh: {identity_file: x}", "option ssh.directory is missing"),
        ("ssh: [directory]", "option ssh: it is a mapping of directory and identity_file"),
        ("ssh: {directory: '${DRC_UNSET}'}", "the environment variable DRC_UNSET is not set"),
        ("use_stale_cache: true", "option use_stale_cache: nothing is kept without cached: true"),
        ("compose: [a]", "option compose: it is a mapping"),
        ("groups: new", "option groups: it is a mapping"),
        ("keyed_groups: [dr_role]", r"option keyed_groups\[0\]: it is a mapping with a key"),
        ("keyed_groups: 7", "option keyed_groups: it is a list"),
    ],
)
def test_what_the_plugin_refuses_is_refused(load, text, said):
    with pytest.raises(InvalidInputError, match=rf"site.cmdb.yml: .*{said}"):
        load(text)


def test_what_the_plugin_takes_is_taken(load):
    source = load("ssh: {directory: /x, identity_file: /k}\ncached: true\nuse_stale_cache: true\nrole: [lb]")
    assert source.identity_file == "/k"
    assert source.options.selection.role == ("lb",)
