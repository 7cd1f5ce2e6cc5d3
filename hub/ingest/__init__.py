"""The tick: one pass over new packets that composes telemetry, ecg.stream and alarms."""
