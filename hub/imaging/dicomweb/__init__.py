"""DICOM over the web: storing (STOW-RS), searching (QIDO-RS) and fetching (WADO-RS)."""
