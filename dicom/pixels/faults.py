"""Why pixels can't be shown: one error for all of `dicom.pixels`, with a code of a small closed table."""

from typing import Final, Literal

Code = Literal[
    "description", "size", "too-large", "cut", "damaged", "differs", "syntax", "video", "kind", "too-hard"
]
CODES: Final[dict[str, str]] = {
    "description": "rows, columns, samples or bits are missing or impossible",
    "size": "the data set tells of no pixels",
    "too-large": "more pixels than the hub prepares",
    "cut": "fewer bytes than the data set tells of",
    "damaged": "the decoder refused the codestream",
    "differs": "the codestream's own header contradicts the data set",
    "syntax": "a transfer syntax without a decoder",
    "video": "a film (MPEG, HEVC), not frames",
    "kind": "a photometric interpretation that is not drawn",
    "too-hard": "more time or memory than is allowed",
}


class PixelFault(ValueError):
    """These pixels can't be shown; `code` is of CODES, `detail` for a technician, nothing of a patient."""

    def __init__(self, code: Code, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code, self.detail = code, detail
