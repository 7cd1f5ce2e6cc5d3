"""The one error of this package for foreign bytes."""


class InvalidInstance(ValueError):
    """Bytes that are no such DICOM instance: `cause`, `offset` of the byte at fault if known, how to `mend` it."""

    def __init__(self, cause: str, offset: int | None = None, mend: str = "") -> None:
        place = "" if offset is None else f" at byte {offset}"
        super().__init__(f"{cause}{place}" + (f"; {mend}" if mend else ""))
        self.cause = cause
        self.offset = offset
        self.mend = mend
