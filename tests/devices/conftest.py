"""Hypothesis on a loaded machine: how long an example takes says nothing about the code under test."""

from hypothesis import HealthCheck, settings

settings.register_profile("telehub", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("telehub")
