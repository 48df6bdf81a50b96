"""What is said to load balancers, and what their silence or their words become."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from ansible.errors import AnsibleConnectionFailure

from ansible_collections.dianrong.cloud.plugins.plugin_utils import _balancers
from drcloud.delivery.switch import BalancerError

RECORDED = Path(__file__).parents[1] / "delivery/recorded"


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
    assert silent.change(["set server p/a state drain", "set server p/b state drain"]) == ""
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


def test_a_question_may_come_with_a_change():
    both = balancer(out="\n\n# asked\n1\n# be_id\n")
    assert both.change(["set server p/a state drain"], "show servers state p") == "1\n# be_id"
    assert both._connection.asked == [
        ("/usr/local/lib/drcloud/haproxy-say change", "set server p/a state drain\nshow servers state p\n")
    ]
    with pytest.raises(BalancerError, match=r"lb-01: No such server\."):
        balancer(out="No such server.\n\n# asked\n1\n").change(["set server p/x state drain"], "show")
    with pytest.raises(BalancerError, match=r"lb-01 has an older .*haproxy-say: provision it first"):
        balancer(out="\n").change(["set server p/a state drain"], "show")


def test_who_holds_a_lock_says_by_which_token():
    said = f"\n# asked\n{(RECORDED / 'pool-2.6.txt').read_text()}"
    told = balancer(out=said)
    lbs = _balancers.Balancers("demo_prod", [told])
    lbs.tell(["set server p/a state drain"])
    lbs.under(7).tell(["set server p/a state drain"])
    first, second = (lines for _command, lines in told._connection.asked)
    assert second == f"fence demo_prod 7\n{first}"


def test_all_load_balancers_are_asked_at_the_same_time():
    """Each answers only when the other one was asked too; asked in turns, the first would wait in vain."""
    together = threading.Barrier(2, timeout=20)

    class Waiting(Connection):
        def exec_command(self, command, in_data, sudoable):
            together.wait()
            return super().exec_command(command, in_data, sudoable)

    said = (RECORDED / "pool-2.6.txt").read_text()
    lbs = [_balancers.Balancer(name, Waiting(out=said), None) for name in ("lb-01", "lb-02")]
    found = _balancers.Balancers("demo_prod", lbs).pools()
    assert [(lb, len(pool)) for lb, pool in found.items()] == [("lb-01", 12), ("lb-02", 12)]


def test_all_are_told_before_the_first_failure_is_raised():
    lost, good = balancer("lb-01", rc=None), balancer("lb-02")
    with pytest.raises(BalancerError, match="lb-01"):
        _balancers.Balancers("p", [lost, good]).tell(["set server p/a state drain"])
    assert len(good._connection.asked) == 1


def inventory(**states):
    """The variables of a play with a load balancer for each state, all in front of the same pool."""
    pool = {"name": "demo_prod", "members": [{"host": "dk-01"}], "min_in_service": 1}
    names = [name.replace("_", "-") for name in states]
    known = {
        name: {"dr_lb_pools": [pool], **({"dr_state": state} if state else {})}
        for name, state in zip(names, states.values(), strict=True)
    }
    return {"groups": {"role_lb": names}, "hostvars": known}


def test_a_load_balancer_that_is_declared_out_of_service_is_not_asked():
    seen = inventory(
        lb_01="active",
        lb_02="maintenance",
        lb_03="quarantined",
        lb_04="retired",
        lb_05="provisioning",
        lb_06="",
    )
    left = ["lb-01", "lb-05", "lb-06"]
    assert list(_balancers.in_front("demo_prod", seen)) == left
    assert {pool: list(known) for pool, known in _balancers.of_hosts(["dk-01"], seen).items()} == {
        "demo_prod": left
    }
    assert _balancers.of_hosts(["dk-02"], seen) == {}


def test_a_pool_without_a_load_balancer_in_service_is_nobodys():
    assert _balancers.in_front("demo_prod", inventory(lb_01="maintenance")) == {}
    assert _balancers.of_hosts(["dk-01"], inventory(lb_01="maintenance")) == {}
