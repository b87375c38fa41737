"""Steelyard: private, tamper-evident weighing tickets, from load cell to ledger."""

__version__ = "0.1.0"
