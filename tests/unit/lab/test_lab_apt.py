"""What a lab host takes over from the controller's apt."""

from __future__ import annotations

from drcloud.lab import apt


def test_debian_sources_are_kept_and_others_left_out() -> None:
    targets = [
        "http://mirror.example/debian/|bookworm|main|Debian",
        "http://mirror.example/debian/|bookworm|contrib|Debian",
        "http://mirror.example/debian/|bookworm|main|Debian",
        "http://mirror.example/debian-security/|bookworm-security|main|Debian",
        "https://packages.example/node/|nodistro|main|. nodistro",
        "https://download.example/linux/debian/|bookworm|stable|Docker",
        "file:/srv/debian/|bookworm|main|Debian",
    ]
    assert apt.debian_lines(targets) == [
        "deb http://mirror.example/debian/ bookworm main contrib",
        "deb http://mirror.example/debian-security/ bookworm-security main",
    ]


def test_only_settings_of_fetching_are_kept() -> None:
    dump = [
        'APT::Install-Recommends "0";',
        'Acquire::http "";',
        'Acquire::http::Proxy "http://proxy.example:3128";',
        'Acquire::https::CaInfo "/etc/ssl/certs/ca-certificates.crt";',
        'Acquire::Check-Valid-Until "false";',
        'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";',
        'DPkg::Post-Invoke:: "rm -f /var/cache/apt/archives/*.deb";',
    ]
    assert apt.fetch_settings(dump).splitlines() == dump[2:5]


def test_sources_of_another_release_come_from_the_same_places() -> None:
    lines = (
        "deb http://mirror.example/debian/ bookworm main contrib\n"
        "deb http://mirror.example/debian/ bookworm-updates main\n"
        "deb http://mirror.example/other/ stable main\n"
    )
    assert apt.for_release(lines, "bookworm", "trixie") == (
        "deb http://mirror.example/debian/ trixie main contrib\n"
        "deb http://mirror.example/debian/ trixie-updates main\n"
        "deb http://mirror.example/other/ stable main\n"
    )
    assert apt.for_release(lines, "bookworm", "bookworm") == lines
