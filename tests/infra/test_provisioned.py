"""The description that an inventory gives is one that `steelyard provision` reads."""

import json

from descriptions import example, hosts

from infra.consortium.checks import parse
from infra.consortium.nodes import node_views
from infra.consortium.views import platform_entities
from steelyard.provision.document import read_description


def test_what_the_inventory_gives_is_read(tmp_path):
    """Every node, customer, user, station and device of the example."""
    spec = parse(example())
    views = node_views(spec, {name: one["ansible_host"] for name, one in hosts().items()})
    keys = {one["name"]: {"tessera_public_key": one["name"]} for one in views}
    path = tmp_path / "entities.json"
    path.write_text(json.dumps(platform_entities(spec, views, keys)))
    description = read_description(path)
    assert len(description.nodes) == len(views)
    assert {station.name: station.node for _, station in description.stations()} == {
        one["station"]: one["name"] for one in views if one["station"]
    }
