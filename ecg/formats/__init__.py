"""ECG file formats, one file each: bytes of the format to `ecg.record.Record` and back, integers unchanged."""
