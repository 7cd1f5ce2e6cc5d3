"""`hub ecg annotate`: what the engine sees in recordings, as WFDB annotations other tools can score."""

from collections.abc import Sequence
from pathlib import Path

from ecg.annotate import annotate
from hub.imaging.intake.ecg_files import read_record


def annotate_files(paths: Sequence[Path], out: Path) -> list[Path]:
    """WFDB annotations of each recording's analysis, NAME.hub; the files written."""
    out.mkdir(parents=True, exist_ok=True)
    targets = [out / (path.stem if path.is_file() else path.name) for path in paths]
    for path, target in zip(paths, targets, strict=True):
        annotate(read_record(path), target)
    return [target.with_name(f"{target.name}.hub") for target in targets]
