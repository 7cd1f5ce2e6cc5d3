"""Findings of the rhythm rules and the alarms made of them: raised, owned by one person, resolved, never lost."""
