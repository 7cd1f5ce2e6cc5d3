"""Takes system calls away from this process, and from all it may start, for good (Linux seccomp, filter mode).

For the sandbox: code that a hostile file has taken over must not reach a database, a network or another process,
start a program, or ask io_uring to do any of it. A refused call fails with EPERM. Numbers: the kernel's
`asm/unistd.h` of each architecture.
"""

import ctypes
import errno
import platform
import struct
from typing import NamedTuple

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2  # prctl(2)
ALLOW, REFUSE = 0x7FFF_0000, 0x0005_0000 | errno.EPERM  # SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO
LOAD, JUMP_IF_EQUAL, JUMP_IF_AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06  # linux/bpf_common.h
NUMBER_AT, ARCHITECTURE_AT = 0, 4  # in struct seccomp_data
OTHER_TABLE = 0x4000_0000  # x86_64: from here on the same calls have a second number (x32)


class _Machine(NamedTuple):
    """How the kernel names an architecture, and its numbers of the calls that are refused."""

    architecture: int
    socket: int
    socketpair: int
    execve: int
    execveat: int
    kill: int
    ptrace: int
    process_vm_readv: int
    process_vm_writev: int
    pidfd_send_signal: int = 424
    io_uring_setup: int = 425


MACHINES = {
    "x86_64": _Machine(0xC000_003E, 41, 53, 59, 322, 62, 101, 310, 311),
    "aarch64": _Machine(0xC000_00B7, 198, 199, 221, 281, 129, 117, 270, 271),
}


def _program(machine: _Machine) -> list[tuple[int, int, int, int]]:
    """Classic BPF: (code, jump if true, jump if false, value); the two answers stand at the end."""
    calls = machine[1:]
    refuse = len(calls) + 1  # instructions from the one after `at least` to REFUSE
    return [
        (LOAD, 0, 0, ARCHITECTURE_AT),
        (JUMP_IF_EQUAL, 0, refuse + 2, machine.architecture),
        (LOAD, 0, 0, NUMBER_AT),
        (JUMP_IF_AT_LEAST, refuse, 0, OTHER_TABLE),
        *((JUMP_IF_EQUAL, len(calls) - place, 0, call) for place, call in enumerate(calls)),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, REFUSE),
    ]


def confine() -> bool:
    """Take the calls away; False where that can't be done (another architecture, a kernel without it)."""
    machine = MACHINES.get(platform.machine())
    if machine is None:
        return False
    instructions = _program(machine)
    packed = b"".join(struct.pack("HBBI", *row) for row in instructions)
    code = ctypes.create_string_buffer(packed, len(packed))
    program = struct.pack("HP", len(instructions), ctypes.addressof(code))  # struct sock_fprog
    libc = ctypes.CDLL(None)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    return bool(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0) == 0)
