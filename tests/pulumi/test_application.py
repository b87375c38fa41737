"""The application's version changes with what a run of the playbooks is made of."""

import pytest

from infra.stack.application import application_version
from infra.stack.errors import InvalidStack
from infra.stack.models import ApplicationConfig


@pytest.fixture
def checkout(tmp_path):
    """Bundles, a playbook and a role."""
    for name in ("server.tar", "station.tar", "playbooks/site.yml", "roles/base/tasks/main.yml"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path


APPLICATION = ApplicationConfig(server_bundle="server.tar", station_bundle="station.tar")


@pytest.mark.parametrize("name", ["server.tar", "station.tar", "roles/base/tasks/main.yml"])
def test_it_changes_with_the_contents(checkout, name):
    """Of a bundle or of a role."""
    before = application_version(APPLICATION, checkout)
    assert application_version(APPLICATION, checkout) == before
    (checkout / name).write_text("other")
    assert application_version(APPLICATION, checkout) != before


def test_what_no_run_reads_changes_nothing(checkout):
    """A role's page, and what Python leaves behind."""
    before = application_version(APPLICATION, checkout)
    (checkout / "roles/base/README.md").write_text("read me")
    (checkout / "roles/__pycache__").mkdir()
    (checkout / "roles/__pycache__/x.pyc").write_text("x")
    assert application_version(APPLICATION, checkout) == before


def test_a_bundle_that_is_not_there_is_named(checkout):
    """Both, with the commands that make them."""
    wrong = ApplicationConfig(server_bundle="a.tar", station_bundle="b.tar")
    with pytest.raises(InvalidStack) as caught:
        application_version(wrong, checkout)
    assert [one.split(" ")[0] for one in caught.value.problems] == [
        "steelyard:application.server_bundle",
        "steelyard:application.station_bundle",
    ]
