"""What Telehub knows of DICOM objects: bytes in, frozen values out, and back.

Everything here is pure: no sockets, clocks, environment or database; identifiers and times are passed in. DICOM
keywords keep their spelling.
"""

from dicom.errors import InvalidInstance

__all__ = ["InvalidInstance"]
