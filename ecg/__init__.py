"""ECG analysis that knows nobody: streaming detection, quality, beat classes, rhythm findings, Holter summaries.

Samples, masks and times in, values out (DESIGN.md section 7). Wrong calls raise ValueError; bad signals never do.
"""
