"""Trained models as plain arrays, and how they are evaluated (docs/models)."""
