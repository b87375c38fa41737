"""`pulumi up`: see docs/how-to/pulumi.md."""

import pulumi
from pulumi.runtime import get_config_env, get_config_secret_keys_env

from infra.program.run import run

outputs = run(get_config_env(), get_config_secret_keys_env(), pulumi.get_stack())
for name, value in outputs.items():
    pulumi.export(name, value)
