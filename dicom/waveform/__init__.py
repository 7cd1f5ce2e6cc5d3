"""ECG waveform objects (PS3.3 A.34 and C.10.9): 12-lead, general, 32-bit and ambulatory, in and out."""

from dicom.waveform.reading import decode
from dicom.waveform.values import Channel, Identity, Waveform
from dicom.waveform.writing import encode, storage_class

__all__ = ["Channel", "Identity", "Waveform", "decode", "encode", "storage_class"]
