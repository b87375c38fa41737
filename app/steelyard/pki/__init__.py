"""Authorities, the certificates that they issue, and revocation."""
