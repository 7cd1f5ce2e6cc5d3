"""What a sender is told of its instance: the status of C-STORE (PS3.4 B.2.3), and the same as STOW-RS's failure reason.

None of these is a reason to send the same again: the bytes are kept aside, and sending them once more changes nothing.
"""

from collections.abc import Mapping
from typing import Final

from dicom import commands
from hub.imaging.instances import Outcome

_STATUS_OF: Final[Mapping[str, int]] = {
    "other-content": commands.DUPLICATE_SOP_INSTANCE,
    "class-differs": commands.DATA_SET_DOES_NOT_MATCH,
}


def status_of(outcome: Outcome) -> int:
    """Success, or why not."""
    if outcome.reason is None:
        return commands.SUCCESS
    return _STATUS_OF.get(outcome.reason, commands.CANNOT_UNDERSTAND)


def comment_of(outcome: Outcome) -> str:
    """For the error comment of a response; nothing of a patient."""
    return "" if outcome.reason is None else f"kept aside: {outcome.detail}"
