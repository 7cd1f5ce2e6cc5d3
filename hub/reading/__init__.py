"""From an ended recording to a signed report: studies, analyses, routing, tasks, reports (DESIGN.md
section 8).
"""
