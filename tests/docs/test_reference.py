"""The reference is complete: every setting, command, route and problem type is in it."""

import importlib.util
import re
from pathlib import Path

import pytest
import yaml

from flash_kit import secret_file
from infra.flash.errors import FlashRefused
from infra.flash.orders import Order, make_card

ROOT = Path(__file__).parent.parent.parent
SPECIFICATION = importlib.util.spec_from_file_location(
    "reference", ROOT / "scripts" / "reference.py"
)
assert SPECIFICATION is not None
assert SPECIFICATION.loader is not None
reference = importlib.util.module_from_spec(SPECIFICATION)
SPECIFICATION.loader.exec_module(reference)


def test_the_pages_are_what_the_code_says() -> None:
    """`make docs` would change nothing."""
    assert reference.differing() == []


def test_every_setting_has_a_meaning() -> None:
    """No setting without a description, in any section."""
    reference.modules()
    bare = [
        f"{section.section}.{name}"
        for section in reference.subclasses(reference.Section)
        if "section" in vars(section)
        for name, field in section.model_fields.items()
        if not field.description
    ]
    assert bare == []


def test_problem_types_are_told_apart() -> None:
    """Two problems that a reader must tell apart never share a type with two titles."""
    reference.modules()
    titles: dict[str, set[str]] = {}
    for problem in reference.subclasses(reference.Problem):
        titles.setdefault(problem.slug, set()).add(problem.title)
    assert {slug: found for slug, found in titles.items() if len(found) > 1} == {}


def test_every_option_has_a_meaning() -> None:
    """No command and no option without a help text."""
    page = "\n".join(reference.commands_page())
    assert re.findall(r"^\| `--[^|]*\|\s*\|$", page, re.MULTILINE) == []


def test_every_playbook_says_what_it_does() -> None:
    """At its head, where the page has it from."""
    rows = [line for line in reference.playbooks_page() if line.startswith("| [")]
    assert len(rows) == len(list((ROOT / "playbooks").glob("*.yml")))
    assert [row for row in rows if len(row.split("|")[2].strip()) < 20] == []


def test_every_variable_of_the_playbooks_is_told() -> None:
    """Those that an inventory sets, and those that are said with -e."""
    text = "".join(
        path.read_text("utf-8")
        for path in [*ROOT.glob("playbooks/**/*.yml"), ROOT / "infra/consortium/nodes.py"]
    )
    asked = set(re.findall(r"\b(?:steelyard_(?:ssh|mirror|server|station|address)[a-z_]*)", text))
    assert asked == {
        name for name in reference.INVENTORY_VARIABLES if name.startswith("steelyard_")
    }
    for name in [*reference.INVENTORY_VARIABLES, *reference.PLAYBOOK_ARGUMENTS]:
        assert re.search(rf"\b{name}\b", text), name


def test_what_an_inventory_says_of_a_card_is_told(tmp_path: Path) -> None:
    """Every secret by its file, and what the playbook keeps for itself: no more, and no less."""
    told = {name for name, _ in reference.told_instead()}
    playbook = (ROOT / "playbooks/flash.yml").read_text("utf-8")
    kept = re.search(r"rejectattr\('key', 'in', (\[[^]]*\])\)", playbook)
    assert kept is not None
    assert {name for name in told if "." not in name} == set(yaml.safe_load(kept[1]))
    wifi = {"ssid": "Yard", "country": "PT"}
    for name, secret in (("passphrase", "a phrase of the yard"), ("psk", "0" * 64)):
        assert f"network.wifi.{name}_file" in told
        file = secret_file(tmp_path / name, secret)
        refused = card_order({"network": {"wifi": wifi | {name: secret}}})
        with pytest.raises(FlashRefused, match=f"name its file, {name}_file"):
            make_card(refused)
        card = make_card(card_order({"network": {"wifi": wifi | {f"{name}_file": str(file)}}}))
        assert getattr(card.network.wifi, name) == secret
    with pytest.raises(FlashRefused, match="name its file, claim_file"):
        make_card(card_order({"claim": "0123"}))


def card_order(settings: dict[str, object]) -> Order:
    """An order with these settings of a card."""
    own = {"host_name": "north-box", "platform_url": "https://platform.example"}
    nowhere = Path("nowhere")
    return Order(
        image=nowhere,
        public_key=nowhere,
        device=nowhere,
        station="north",
        settings=own | settings,
        ca_file=nowhere,
    )


@pytest.mark.parametrize(
    "page", sorted(path for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]), ids=str
)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of every page names a file that is there."""
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text("utf-8"))
    missing = [
        target for target in targets if "://" not in target and not (page.parent / target).exists()
    ]
    assert missing == []
