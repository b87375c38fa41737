"""Machines on this computer, made and destroyed by the stack."""
