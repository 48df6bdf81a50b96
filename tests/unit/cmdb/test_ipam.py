"""Allocation of numbers, addresses and subnets."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, select

from drcloud.cmdb import addresses, importer, ipam, networks, subnets
from drcloud.cmdb.declared import Address, Allocation, Host, Prefix, Vrf
from drcloud.cmdb.exporter import export
from drcloud.cmdb.ipam import Claim
from drcloud.cmdb.store import Store
from drcloud.errors import InvalidInputError, NotFoundError


def test_asking_twice_gives_the_same(store: Store) -> None:
    with store.write(reason="x") as session:
        first = ipam.allocate(session, "p", "one", range(10, 20))
        assert (first, ipam.allocate(session, "p", "two", range(10, 20))) == (10, 11)
    seq = store.declared_seq()
    with store.write(reason="x") as session:
        assert ipam.allocate(session, "p", "one", range(10, 20)) == first
        assert ipam.allocate(session, "other", "one", range(15, 20)) == 15
    assert store.declared_seq() == seq + 1


def test_what_is_given_back_is_free_again(store: Store) -> None:
    with store.write(reason="x") as session:
        ipam.allocate(session, "p", "one", range(10, 20))
        assert ipam.free(session, "p", "one")
        assert not ipam.free(session, "p", "one")
        assert ipam.allocate(session, "p", "two", range(10, 20)) == 10


def test_exhausted(store: Store) -> None:
    with pytest.raises(InvalidInputError, match="pool p is exhausted"), store.write(reason="x") as session:
        for owner in ("one", "two"):
            ipam.allocate(session, "p", owner, [7])


def test_many_pools_take_one_query(store: Store) -> None:
    pools = [ipam.port_pool(f"dk-{number:02}") for number in range(1, 31)]

    def claims(env: str, some: list[str]) -> list[Claim]:
        return [Claim(pool, ipam.port_owner("demo", env, slot)) for pool in some for slot in ipam.SLOTS]

    asked: list[str] = []
    with store.write(reason="x") as session:
        first = ipam.allocate_all(session, claims("prod", pools[:1]), ipam.PORTS)
        assert first == {
            Claim("ports:dk-01", "demo/prod/a"): 20000,
            Claim("ports:dk-01", "demo/prod/b"): 20001,
        }
        event.listen(session, "do_orm_execute", lambda state: asked.append(str(state.statement)))
        again = ipam.allocate_all(session, claims("prod", pools), ipam.PORTS)
        assert again.items() >= first.items()
        other = ipam.allocate_all(session, claims("qa", pools), ipam.PORTS)
    assert set(other.values()) == {20002, 20003}
    assert sum(statement.startswith("SELECT allocation") for statement in asked) == 2


def test_choosing_writes_nothing(store: Store) -> None:
    claims = [Claim("p", "one"), Claim("p", "two")]
    with store.write(reason="x") as session:
        ipam.allocate(session, "p", "one", range(5, 9))
    with store.read() as session:
        assert ipam.choose(session, claims, range(5, 9)) == {claims[0]: (5, True), claims[1]: (6, False)}


@given(st.sets(st.integers(0, 60)), st.integers(0, 60), st.integers(0, 60))
def test_the_first_gap_is_the_smallest_free_number(taken: set[int], first: int, last: int) -> None:
    found = ipam.first_gap(lambda a, b: sum(a <= one <= b for one in taken), first, last)
    assert found == next((one for one in range(first, last + 1) if one not in taken), None)


@pytest.fixture
def nets(store: Store) -> Store:
    with store.write(reason="nets") as session:
        blue = Vrf(name="blue")
        session.add_all(
            [
                blue,
                Prefix(cidr="10.0.0.0/8", aggregate=True),
                Prefix(cidr="10.64.0.0/22", aggregate=True),
                Prefix(cidr="10.64.1.128/25"),
                Prefix(cidr="10.1.0.0/29"),
                Prefix(cidr="10.1.0.0/29", vrf=blue),
                Prefix(cidr="2001:db8::/48", aggregate=True),
                Prefix(cidr="192.0.2.0/31"),
            ]
        )
    return store


def test_parents_follow_from_the_bounds(nets: Store) -> None:
    with nets.read() as session:
        parents = {}
        for row in session.scalars(select(Prefix)):
            above = networks.parent(session, row)
            parents[networks.name_of(row)] = networks.name_of(above) if above else None
        assert parents == {
            "10.0.0.0/8": None,
            "10.64.0.0/22": "10.0.0.0/8",
            "10.64.1.128/25": "10.64.0.0/22",
            "10.1.0.0/29": "10.0.0.0/8",
            "10.1.0.0/29@blue": None,
            "2001:db8::/48": None,
            "192.0.2.0/31": None,
        }
        below = networks.children(session, networks.find(session, "10.0.0.0/8"))
        assert [row.cidr for row in below] == ["10.1.0.0/29", "10.64.0.0/22"]


def test_usage(nets: Store) -> None:
    with nets.write(reason="x") as session:
        addresses.allocate(session, networks.find(session, "10.1.0.0/29"), "one", purpose="x")
        usage = networks.usage(session, networks.find(session, "10.1.0.0/29"))
        assert (usage.parent, usage.size, usage.used, usage.free) == ("10.0.0.0/8", 6, 1, 5)
        usage = networks.usage(session, networks.find(session, "10.64.0.0/22"))
        assert (usage.children, usage.size, usage.used) == (("10.64.1.128/25",), 1024, 128)


@pytest.mark.parametrize("name", ["10.1.0.0/28", "10.1.0.0/29@red", "nonsense"])
def test_an_unknown_prefix(nets: Store, name: str) -> None:
    with nets.read() as session, pytest.raises(NotFoundError, match=f"there is no prefix '{name}' in"):
        networks.find(session, name)


def test_addresses_of_a_prefix(nets: Store) -> None:
    with nets.write(reason="x") as session:
        prefix = networks.find(session, "10.1.0.0/29")
        session.add(Address(address="10.1.0.2", prefix=prefix, purpose="gateway"))
        host = Host(name="dk-01", role="docker")
        given = [
            addresses.allocate(session, prefix, owner, purpose="bmc", host=host).address
            for owner in ("dk-01/bmc", "dk-02/bmc", "dk-01/bmc", "dk-03/bmc", "dk-04/bmc", "dk-05/bmc")
        ]
        # Neither the network's nor the broadcast address, nor the one that was declared.
        assert given == ["10.1.0.1", "10.1.0.3", "10.1.0.1", "10.1.0.4", "10.1.0.5", "10.1.0.6"]
        with pytest.raises(
            InvalidInputError, match=r"prefix 10\.1\.0\.0/29 is exhausted: all 6 addresses are used"
        ):
            addresses.allocate(session, prefix, "dk-06/bmc", purpose="bmc")
        assert addresses.free(session, prefix, "dk-02/bmc")
        assert not addresses.free(session, prefix, "dk-02/bmc")
        assert addresses.allocate(session, prefix, "dk-06/bmc", purpose="bmc").address == "10.1.0.3"
        blue = networks.find(session, "10.1.0.0/29@blue")
        assert addresses.allocate(session, blue, "dk-06/bmc", purpose="bmc").address == "10.1.0.1"


def test_a_point_to_point_prefix_has_two_addresses(nets: Store) -> None:
    with nets.write(reason="x") as session:
        prefix = networks.find(session, "192.0.2.0/31")
        assert [addresses.allocate(session, prefix, one, purpose="link").address for one in "ab"] == [
            "192.0.2.0",
            "192.0.2.1",
        ]


def test_an_address_that_went_to_another_is_not_given_back(nets: Store) -> None:
    with nets.write(reason="x") as session:
        prefix = networks.find(session, "10.1.0.0/29")
        session.delete(addresses.allocate(session, prefix, "one", purpose="x"))
        session.flush()
        session.add(Address(address="10.1.0.1", prefix=prefix, purpose="gateway"))
        session.flush()
        assert addresses.find(session, prefix, "one") is None
        assert addresses.allocate(session, prefix, "one", purpose="x").address == "10.1.0.2"
        session.delete(addresses.allocate(session, prefix, "one", purpose="x"))
        session.flush()
        assert addresses.allocate(session, prefix, "two", purpose="x").address == "10.1.0.2"
        assert len(session.scalars(select(Allocation)).all()) == 1


def test_an_aggregate_has_no_addresses_of_its_own(nets: Store) -> None:
    with (
        pytest.raises(InvalidInputError, match=r"prefix 10\.0\.0\.0/8 is an aggregate"),
        nets.write(reason="x") as session,
    ):
        addresses.allocate(session, networks.find(session, "10.0.0.0/8"), "one", purpose="x")


def test_subnets_of_hosts(nets: Store) -> None:
    owners = ["dk-01/containers", "dk-02/containers"]
    with nets.write(reason="x") as session:
        whole = networks.find(session, "10.64.0.0/22")
        given = subnets.allocate(session, whole, owners)
        # 10.64.1.0/24 is half taken.
        assert [given[owner].cidr for owner in owners] == ["10.64.0.0/24", "10.64.2.0/24"]
        assert subnets.allocate(session, whole, owners[::-1]) == given
        assert subnets.allocate(session, whole, ["gpu"], length=25)["gpu"].cidr == "10.64.1.0/25"
        [last] = subnets.allocate(session, whole, ["dk-03/containers"]).values()
        assert (last.cidr, last.purpose, last.aggregate) == ("10.64.3.0/24", "containers", False)
        with pytest.raises(InvalidInputError, match=r"prefix 10\.64\.0\.0/22 is exhausted: no /24 is free"):
            subnets.allocate(session, whole, ["dk-04/containers"])
        assert subnets.free(session, whole, "dk-02/containers")
        assert not subnets.free(session, whole, "dk-02/containers")
        assert subnets.allocate(session, whole, ["dk-04"])["dk-04"].cidr == "10.64.2.0/24"


def test_a_subnet_in_use_stays(nets: Store) -> None:
    with nets.write(reason="x") as session:
        whole = networks.find(session, "10.64.0.0/22")
        [row] = subnets.allocate(session, whole, ["dk-01"]).values()
        addresses.allocate(session, row, "web", purpose="container")
        with pytest.raises(InvalidInputError, match=r"10\.64\.0\.0/24 is not freed: 10\.64\.0\.1 of it"):
            subnets.free(session, whole, "dk-01")


def test_a_subnet_that_was_deleted_otherwise_is_free(nets: Store) -> None:
    with nets.write(reason="x") as session:
        whole = networks.find(session, "10.64.0.0/22")
        session.delete(subnets.allocate(session, whole, ["dk-01"])["dk-01"])
        session.flush()
        assert subnets.allocate(session, whole, ["dk-02"])["dk-02"].cidr == "10.64.0.0/24"
        assert subnets.allocate(session, whole, ["dk-01"])["dk-01"].cidr == "10.64.2.0/24"


def test_subnets_of_ipv6(nets: Store) -> None:
    with nets.write(reason="x") as session:
        whole = networks.find(session, "2001:db8::/48")
        given = subnets.allocate(session, whole, ["dk-01", "dk-02"], length=64)
        assert [row.cidr for row in given.values()] == ["2001:db8::/64", "2001:db8:0:1::/64"]
        row = addresses.allocate(session, given["dk-02"], "web", purpose="container")
        assert row.address == "2001:db8:0:1::"


@pytest.mark.parametrize(
    ("name", "length", "message"),
    [
        ("10.1.0.0/29", 30, "prefix 10.1.0.0/29 is no aggregate"),
        ("10.64.0.0/22", 22, "prefix 10.64.0.0/22 has no subnets of length /22"),
        ("10.64.0.0/22", 33, "prefix 10.64.0.0/22 has no subnets of length /33"),
    ],
)
def test_subnets_that_cannot_be(nets: Store, name: str, length: int, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message), nets.write(reason="x") as session:
        subnets.allocate(session, networks.find(session, name), ["dk-01"], length=length)


def test_owners_keep_what_they_have_through_export_and_import(nets: Store, tmp_path: Path) -> None:
    def ask(store: Store) -> list[str]:
        with store.write(reason="x") as session:
            whole = networks.find(session, "10.64.0.0/22")
            prefix = networks.find(session, "10.1.0.0/29@blue")
            return [
                *(row.cidr for row in subnets.allocate(session, whole, ["dk-01", "dk-02"]).values()),
                addresses.allocate(session, prefix, "dk-01/bmc", purpose="bmc").address,
            ]

    given = ask(nets)
    path = tmp_path / "export.yml"
    path.write_text(export(nets), encoding="utf-8")
    seq = nets.declared_seq()
    assert importer.import_files(nets, importer.Request((path,))) == ()
    other = Store.create(f"sqlite:///{tmp_path}/other.sqlite3")
    importer.import_files(other, importer.Request((path,)))
    before = other.declared_seq()
    assert ask(other) == ask(nets) == given
    assert (other.declared_seq(), nets.declared_seq()) == (before, seq)
