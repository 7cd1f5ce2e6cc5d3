"""What clinics send in: uploads and files, DICOM studies and instances, from any side and over bad lines."""
