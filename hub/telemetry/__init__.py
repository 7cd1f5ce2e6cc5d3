"""Devices and what they measure: provisioning, pairings, recordings and their ledger, vitals, live view."""
