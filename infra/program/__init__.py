"""The Pulumi program: a layout on a target, set up by the playbooks, and its outputs."""
