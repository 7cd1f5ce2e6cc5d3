"""Pixels of foreign instances: bounded, decoded, described for a viewer, and made into serving copies."""
