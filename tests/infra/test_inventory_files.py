"""Secrets in plain text are found where they stand."""

from infra.consortium.inventory_files import secrets_in_files


def test_secrets_are_found_in_the_files_of_an_inventory(tmp_path):
    """In group_vars, host_vars and the inventory itself; an encrypted one is none."""
    (tmp_path / "group_vars/all").mkdir(parents=True)
    (tmp_path / "host_vars").mkdir()
    inventory = tmp_path / "hosts.yml"
    inventory.write_text("all: {vars: {api_token: abc}}\n")
    (tmp_path / "group_vars/all/db.yml").write_text(
        "db_password: hunter2\nvaulted_password: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  61\n"
    )
    (tmp_path / "host_vars/one.yml").write_text("password_file: /etc/x\n")
    found = secrets_in_files([str(inventory)])
    assert [one.split(" is a ")[0].removeprefix(str(tmp_path)) for one in found] == [
        "/group_vars/all/db.yml: db_password",
        "/hosts.yml: all.vars.api_token",
    ]
    assert "hunter2" not in str(found)


def test_what_is_no_yaml_is_left_to_ansible(tmp_path):
    """A script, or an INI file, is read by somebody else."""
    (tmp_path / "hosts").write_text("[all]\none ansible_host=10.0.0.1\n")
    (tmp_path / "broken.yml").write_text("a: [\n")
    assert secrets_in_files([str(tmp_path)]) == []
