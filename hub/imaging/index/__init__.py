"""DICOM studies, series and instances: stored, indexed, searched, found by UID, and whose they are."""
