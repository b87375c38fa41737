"""A station's machine: what its card says, its first boot, and what it is at every later one."""
