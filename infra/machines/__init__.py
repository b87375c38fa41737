"""Whole machines on this computer, each with its own systemd and network: by systemd-nspawn.

No container engine is needed. Linux, root, and the Debian packages mmdebstrap, systemd-container,
slirp4netns and iproute2.
"""
