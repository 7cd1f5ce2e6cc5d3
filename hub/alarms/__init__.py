"""Alarms: one condition, one owner, from the finding or the timer to the outcome."""
