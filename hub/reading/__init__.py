"""Reading studies, analyses and edits, routing, tasks and reports."""
