"""What is said to load balancers, and what their silence or their words become."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleConnectionFailure

from ansible_collections.dianrong.cloud.plugins.plugin_utils import _balancers
from drcloud.delivery.switch import BalancerError


class Connection:
    """A connection that answers the same to everything and keeps what it was asked."""

    def __init__(self, rc=0, out="", err=""):
        self.answer = rc, out.encode(), err.encode()
        self.asked = []

    def exec_command(self, command, in_data, sudoable):
        self.asked.append((command, in_data.decode()))
        if self.answer[0] is None:
            raise AnsibleConnectionFailure("no route to host")
        return self.answer


def balancer(name="lb-01", **said):
    return _balancers.Balancer(name, Connection(**said), None)


def test_a_question_and_a_change_go_to_the_script_of_the_role():
    told = balancer(out="BECOME-SUCCESS-abc\n1\n# be_id\n")
    assert told.ask("show servers state demo_prod") == "1\n# be_id"
    silent = balancer(out="\n\n")
    silent.change(["set server p/a state drain", "set server p/b state drain"])
    assert told._connection.asked == [
        ("/usr/local/lib/drcloud/haproxy-say ask", "show servers state demo_prod\n")
    ]
    assert silent._connection.asked == [
        (
            "/usr/local/lib/drcloud/haproxy-say change",
            "set server p/a state drain; set server p/b state drain\n",
        )
    ]


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"rc": None}, "load balancer lb-01 does not answer: no route to host"),
        ({"rc": 127}, "load balancer lb-01 has no /usr/local/lib/drcloud/haproxy-say: provision it first"),
        ({"rc": 1, "err": "Connection refused"}, "load balancer lb-01 does not take commands: Connection"),
        ({"rc": 1}, "load balancer lb-01 does not take commands: exit code 1"),
        ({"out": "No such server.\n"}, "load balancer lb-01: No such server"),
    ],
)
def test_what_goes_wrong_is_one_sentence(said, sentence):
    with pytest.raises(BalancerError, match=sentence):
        balancer(**said).change(["set server p/a state drain"])


def test_all_are_told_before_the_first_failure_is_raised():
    lost, good = balancer("lb-01", rc=None), balancer("lb-02")
    with pytest.raises(BalancerError, match="lb-01"):
        _balancers.Balancers("p", [lost, good]).tell(["set server p/a state drain"])
    assert len(good._connection.asked) == 1
