"""Organisations, accounts, residents, consents, access, grants and audit."""
