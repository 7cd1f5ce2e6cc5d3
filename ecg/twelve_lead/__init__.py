"""A standard 12-lead ECG measured: median beat, wave boundaries, intervals, axis, and statements for the queue."""
