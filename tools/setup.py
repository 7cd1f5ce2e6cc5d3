"""`make setup`: system packages, .venv with the product and its tools, the pages. Does nothing when nothing changed.

Needs only Python 3.11 with venv. System packages are installed with apt where that is allowed; else they are named.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
VENV_PYTHON = ROOT / ".venv" / "bin" / "python"
STAMP = ROOT / ".setup" / "python.sha256"


class Package(NamedTuple):
    """A Debian package, how to see that it is there, and whether the hub can't do without."""

    name: str
    present: bool
    needed: bool
    what_for: str


def _packages() -> list[Package]:
    sbin = "/usr/sbin:/usr/local/sbin:" + os.environ.get("PATH", "")
    font = Path("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc").exists()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    return [
        Package("mosquitto", shutil.which("mosquitto", path=sbin) is not None, True, "the MQTT broker"),
        Package("fonts-wqy-microhei", font, True, "Chinese on paper"),
        Package("chromium", chromium is not None, False, "tests in the browser"),
        Package("python3-venv", _venv_works(), True, "the virtual environment"),
    ]


def _venv_works() -> bool:
    return VENV_PYTHON.exists() or subprocess.run([sys.executable, "-c", "import ensurepip"]).returncode == 0


def install_system_packages() -> None:
    missing = [package for package in _packages() if not package.present]
    if not missing:
        return
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *(p.name for p in missing)]
    root = _become_root()
    if root is not None and shutil.which("apt-get"):
        had_broker_service = Path("/lib/systemd/system/mosquitto.service").exists()
        environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run([*root, "apt-get", "update", "-qq"], check=True, env=environ)
        subprocess.run([*root, *command, "-qq"], check=True, env=environ, stdout=subprocess.DEVNULL)
        if not had_broker_service and shutil.which("systemctl"):
            # Debian starts it at once, on the devices' port; the hub runs its own.
            subprocess.run([*root, "systemctl", "disable", "--now", "mosquitto"], capture_output=True)
        return
    for package in missing:
        print(f"missing: {package.name} ({package.what_for})", file=sys.stderr)
    print(f"as root: {' '.join(command)}", file=sys.stderr)
    if any(package.needed for package in missing):
        raise SystemExit(1)


def _become_root() -> list[str] | None:
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo and subprocess.run([sudo, "-n", "true"], capture_output=True).returncode == 0:
        return [sudo, "-n"]
    return None


def _fingerprint() -> str:
    files = [ROOT / "pyproject.toml", ROOT / "build_web.py", Path(__file__)]
    versions = f"{sys.version} {ROOT}"
    return hashlib.sha256(b"\0".join([versions.encode(), *(path.read_bytes() for path in files)])).hexdigest()


def install_python() -> bool:
    """The virtual environment; whether anything had to be done."""
    if STAMP.exists() and STAMP.read_text() == _fingerprint() and (ROOT / ".venv/bin/hub").exists():
        return False
    if not VENV_PYTHON.exists():
        subprocess.run([sys.executable, "-m", "venv", str(ROOT / ".venv")], check=True)
    pip = [str(VENV_PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--editable", ".[dev]"], cwd=ROOT, check=True)
    STAMP.parent.mkdir(exist_ok=True)
    STAMP.write_text(_fingerprint())
    return True


def main() -> None:
    if sys.version_info < (3, 11):
        raise SystemExit("Python 3.11 or newer is needed")
    begun_s = time.monotonic()
    install_system_packages()
    installed = install_python()
    if not installed:  # the installation builds the pages by itself
        subprocess.run([str(VENV_PYTHON), "build_web.py"], cwd=ROOT, check=True)
    print(f"set-up {time.monotonic() - begun_s:.1f} s")


if __name__ == "__main__":
    main()
