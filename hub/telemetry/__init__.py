"""Devices, pairings, recordings, the loss ledger, samples, vitals and live viewing."""
