"""What no stack may have: a policy pack, `pulumi up --policy-pack infra/policy`."""
