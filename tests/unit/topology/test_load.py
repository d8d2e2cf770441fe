"""Loading: shipped topologies, what is derived, templates, files that cannot be read."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

import pytest

from testbed.errors import TopologyError, UsageError
from testbed.topology import load, loads
from testbed.topology.model import GatewayRoute

TOPOLOGIES = Path(__file__).parents[3] / "topologies"
MINIMAL = """\
testbed: 1
name: t
region: {name: us-west-2}
vpcs: {app: {cidr: 10.77.0.0/16, subnets: {rack: {cidr: 10.77.7.0/24, outpost: op}}}}
outposts:
  op: {}
"""


def problems(text: str, **keywords: object) -> list[str]:
    with pytest.raises(TopologyError) as caught:
        loads(text, **keywords)  # type: ignore[arg-type]
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("name", ["rack.yaml", "two-racks.yaml", "two-racks-blocked.yaml"])
def test_shipped(name: str) -> None:
    topology = load(TOPOLOGIES / name)
    assert topology.name == name.removesuffix("-blocked.yaml").removesuffix(".yaml")
    assert load(TOPOLOGIES / name) == topology


@pytest.mark.parametrize("racks", [1, 2, 3, 64])
def test_shipped_template(racks: int) -> None:
    topology = load(TOPOLOGIES / "racks.yaml.j2", {"racks": str(racks)})
    assert len(topology.outposts) == len(topology.instances) == racks
    assert len(topology.site.devices) == racks + racks % 2


def test_blocked_differs_in_the_more_specific_routes_only() -> None:
    open_, blocked = (load(TOPOLOGIES / f"two-racks{tail}.yaml") for tail in ("", "-blocked"))
    tables = {
        table.name: {str(route.destination) for route in table.routes}
        for table in open_.vpcs["app"].route_tables
    }
    assert tables["rack-a"] == {"0.0.0.0/0", "10.77.11.0/24"}
    assert tables["rack-b"] == {"0.0.0.0/0", "10.77.7.0/24"}
    for table in blocked.vpcs["app"].route_tables:
        assert {str(route.destination) for route in table.routes} <= {"0.0.0.0/0"}
    assert replace(open_, vpcs=blocked.vpcs) == blocked


def test_rack_has_the_addresses_of_the_user_guide() -> None:
    lags = load(TOPOLOGIES / "rack.yaml").racks["op"].lags
    ends = [(str(vif.local_address), str(vif.peer_address)) for lag in lags for vif in lag.vifs]
    assert ends == [
        ("10.0.0.1/30", "10.0.0.2/30"),
        ("172.16.0.1/30", "172.16.0.2/30"),
        ("10.0.0.5/30", "10.0.0.6/30"),
        ("172.16.0.5/30", "172.16.0.6/30"),
    ]


def test_everything_is_derived_from_a_minimal_file() -> None:
    topology = loads(MINIMAL)
    outpost = topology.racks["op"]
    (domain,) = outpost.domains
    assert outpost.zone == topology.vpcs["app"].subnets[0].zone == "us-west-2a"
    assert [lag.customer_device for lag in outpost.lags] == ["cnd1", "cnd2"]
    assert [lag.service_link.vlan for lag in outpost.lags] == [1001, 1002]
    assert [vif.vlan for lag in outpost.lags for vif in lag.local_gateways] == [2001, 2002]
    assert outpost.service_link.infrastructure_cidrs == (IPv4Network("10.200.0.0/26"),)
    assert domain.vpcs == ("app",)
    assert domain.routes == (GatewayRoute(IPv4Network("0.0.0.0/0")),)
    assert {link.vrf for link in topology.site.links} == {"sl", "lgw"}
    assert [uplink.device for uplink in topology.site.region_uplinks] == ["cnd1", "cnd2"]
    assert topology.site.wan is None
    assert [table.name for table in topology.vpcs["app"].route_tables] == ["main"]


def test_the_other_end_of_a_point_to_point_subnet_is_derived() -> None:
    vifs = "[{device: 1, local_address: 10.9.0.2/30}, {device: 2, peer_address: 10.9.0.4/31}]"
    text = MINIMAL.replace("op: {}", f"op: {{service_link: {{vifs: {vifs}}}}}")
    first, second = (lag.service_link for lag in loads(text).racks["op"].lags)
    assert first.peer_address == IPv4Interface("10.9.0.1/30")
    assert second.local_address == IPv4Interface("10.9.0.5/31")


def test_one_device_for_both() -> None:
    text = MINIMAL + "site: {devices: {core: {asn: 65010}}}\n"
    topology = loads(text)
    assert [lag.customer_device for lag in topology.racks["op"].lags] == ["core", "core"]
    assert topology.site.links == ()
    assert {lag.service_link.peer_bgp_asn for lag in topology.racks["op"].lags} == {65010}


def test_devices_that_share_outposts_share_an_asn() -> None:
    text = MINIMAL.replace("op: {}", "op: {devices: [a, b]}\n  op2: {devices: [c, d]}\n")
    text += "site: {devices: {x: {}, a: {}, b: {asn: 65123}, c: {}, d: {}}}\n"
    asns = {device.name: device.asn for device in loads(text).site.devices}
    assert asns == {"x": 65000, "a": 65123, "b": 65123, "c": 65002, "d": 65002}


def test_appending_changes_nothing_that_was_there() -> None:
    template = (TOPOLOGIES / "racks.yaml.j2").read_text()

    def racks(count: int) -> tuple[object, ...]:
        settings = {"racks": str(count)}
        topology = loads(template, settings=settings, template=True)
        site = topology.site
        return (
            list(topology.outposts.values())[:2],
            list(topology.instances.values())[:2],
            [site.devices[:2], site.links[:2], site.region_uplinks[:2]],
            site.wan and site.wan.uplinks[:2],
        )

    assert racks(2) == racks(9)


def test_instance_addresses_skip_those_given_before() -> None:
    names = "a: {subnet: rack}, b: {subnet: rack, address: 10.77.7.5}, c: {subnet: app/rack}"
    instances = loads(f"{MINIMAL}instances: {{{names}}}").instances
    assert [str(instance.address)[-1] for instance in instances.values()] == ["4", "5", "6"]


def test_routers_and_hosts_of_a_segment() -> None:
    text = MINIMAL + (
        "site:\n"
        "  segments: {lan: {cidr: 192.168.1.0/24, devices: [cnd1, cnd2],"
        " addresses: {cnd2: 192.168.1.2}}}\n"
        "  hosts: {h1: {segment: lan, address: 192.168.1.10}, h2: {segment: lan}}\n"
    )
    site = loads(text).site
    routers = {name: address.ip for name, address in site.segments[0].routers}
    assert routers == {"cnd1": IPv4Address("192.168.1.3"), "cnd2": IPv4Address("192.168.1.2")}
    assert site.hosts[1].address == IPv4Interface("192.168.1.11/24")


@pytest.mark.parametrize(
    ("delay", "milliseconds"), [("15ms", 15.0), ("100us", 0.1), ("1s", 1000.0), ("0.5 ms", 0.5)]
)
def test_delays(delay: str, milliseconds: float) -> None:
    topology = loads(f"{MINIMAL}site: {{region_link: {{delay: {delay}}}}}")
    assert topology.site.region_uplinks[0].quality.delay_ms == milliseconds


@pytest.mark.parametrize(
    ("rate", "mbps"), [("100M", 100.0), ("10G", 10_000.0), ("64k", 0.064), ("unlimited", 0.0)]
)
def test_rates(rate: str, mbps: float) -> None:
    topology = loads(f"{MINIMAL}site: {{region_link: {{rate: {rate}}}}}")
    assert topology.site.region_uplinks[0].quality.rate_mbps == mbps


def test_aliases_work() -> None:
    text = MINIMAL.replace("op: {}", "op: &rack {uplinks: {per_device: 2}}\n  op2: *rack")
    topology = loads(text)
    assert [outpost.lags[0].members for outpost in topology.racks.values()] == [2, 2]


def test_config_is_read_beside_the_topology(tmp_path: Path) -> None:
    (tmp_path / "my.conf").write_text("router id 10.0.0.1;\n")
    file = tmp_path / "t.yaml"
    file.write_text(MINIMAL + "site: {devices: {a: {config: my.conf}, b: {}}}\n")
    devices = load(file).site.devices
    assert [device.config for device in devices] == ["router id 10.0.0.1;\n", None]


@pytest.mark.parametrize("config", ["out/x.conf", "link.conf", ".", "nul\\0"])
def test_config_stays_below_the_topology(tmp_path: Path, config: str) -> None:
    secret = tmp_path / "secret.conf"
    secret.write_text("secret")
    below = tmp_path / "below"
    below.mkdir()
    (below / "out").symlink_to(tmp_path)
    (below / "link.conf").symlink_to(secret)
    file = below / "t.yaml"
    file.write_text(f'{MINIMAL}site: {{devices: {{a: {{config: "{config}"}}}}}}\n')
    with pytest.raises(TopologyError) as caught:
        load(file)
    assert [problem.object for problem in caught.value.problems] == ["site.devices.a.config"]


def test_a_files_own_asn_with_its_own_config_may_differ(tmp_path: Path) -> None:
    (tmp_path / "my.conf").write_text("x")
    file = tmp_path / "t.yaml"
    text = MINIMAL.replace(
        "op: {}", "op: {service_link: {vifs: [{device: 1, peer_bgp_asn: 65009}]}}"
    )
    file.write_text(text + "site: {devices: {a: {config: my.conf}, b: {}}}\n")
    assert load(file).racks["op"].lags[0].service_link.peer_bgp_asn == 65009


@pytest.mark.parametrize("kind", ["missing", "directory", "loop"])
def test_unreadable_files_are_usage_errors(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "t.yaml"
    if kind == "directory":
        path.mkdir()
    if kind == "loop":
        path.symlink_to(path)
    with pytest.raises(UsageError, match="cannot read the topology"):
        load(path)


def test_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_bytes(b"testbed: 1\nname: \xff\n")
    with pytest.raises(TopologyError, match=r"t\.yaml:2:7: .*UTF-8"):
        load(path)


def test_huge_file(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_bytes(b"#" * (5 << 20))
    with pytest.raises(UsageError, match="larger than"):
        load(path)
    assert "characters" in problems("#" * (2 << 20))[0]


def test_template_positions_say_that_they_are_of_the_rendered_text() -> None:
    text = "{% set n = 'x y' %}\ntestbed: 1\nname: {{ n }}\nregion: {name: us-west-2}\n"
    found = problems(text, file="t.yaml.j2", template=True)
    assert found[0].startswith("t.yaml.j2 (rendered):2:7: name: ")


def test_settings_make_any_file_a_template(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(MINIMAL.replace("name: t\n", "name: {{ who }}\n"))
    assert load(path, {"who": "me"}).name == "me"
    with pytest.raises(TopologyError, match=r"\.j2"):
        load(path)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ missing }}", "t.j2:1:1: topology: template: 'missing' is undefined"),
        ("\n\n{{ a.b.c }}", "t.j2:3:1: topology: template: 'a' is undefined"),
        ("\n{% for %}", "t.j2:2:1: topology: template: "),
        ("{% include '/etc/passwd' %}", "template: "),
        ("{{ ''.__class__.__mro__ }}", "template: access to attribute '__class__'"),
        ("{{ self.__init__ }}", "template: "),
        ("{{ 'x' * 1000000000 }}", "the operator *"),
        ("{{ 10 ** 100000000 }}", "the operator **"),
        ("{{ '%1000000000d' % 1 }}", "the operator %"),
        ("{{ 1 / 0 }}", "template: "),
        ("{% for i in range(99999) %}{{ 'x' | center(99) }}{% endfor %}", "more than"),
        ("{% for i in range(999999999) %}{% endfor %}", "template: "),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "template: "),
        ("{{ lipsum() }}", "'lipsum' is undefined"),
    ],
)
def test_template_errors(template: str, expected: str) -> None:
    assert expected in problems(template, file="t.j2", template=True)[0]


def test_unused_settings_are_errors() -> None:
    found = problems("{{ racks }}", settings={"rakcs": "3"}, template=True)
    assert "'rakcs'" in found[0]
    assert "did you mean 'racks'?" in found[0]


def test_settings_are_not_templates_themselves() -> None:
    found = problems("name: '{{ x }}'", settings={"x": "{{ 7 * 7 }}"}, template=True)
    assert any("'{{ 7 * 7 }}' is not a name" in problem for problem in found)
