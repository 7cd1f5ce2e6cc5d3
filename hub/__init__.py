"""Telehub: composes the pure packages `ecg` and `devices` into the hub of a district health system."""
