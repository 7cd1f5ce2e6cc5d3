"""Ways to damage the store by SQL, behind the hub's back: each must make a run red."""

from collections.abc import Mapping
from typing import Final

from tests.nemesis.run import Plan, Tamper
from tests.nemesis.store import Admin

_DEVICE: Final = "holter-0001"


def _newest(table: str) -> str:
    """The newest row `p` of the device's recording `r`."""
    newest = f"SELECT max(q.first_sample) FROM {table} q WHERE q.recording_id = r.id AND q.boot = 1"
    return (
        f"WHERE r.device_id = '{_DEVICE}' AND p.recording_id = r.id AND p.boot = 1"
        f" AND p.first_sample = ({newest})"
    )


async def _without_a_row(admin: Admin, _: Plan) -> str:
    """The newest acknowledged packet of a device (or the block it has become) is gone."""
    for table in ("ecg_packet", "ecg_block"):
        done = await admin.execute(f"DELETE FROM {table} p USING recording r {_newest(table)}")
        if done.rowcount:
            return f"{done.rowcount} row of {table} of {_DEVICE} deleted"
    raise LookupError("no row to delete")


async def _with_a_row_twice(admin: Admin, _: Plan) -> str:
    """The newest packet or block of a device is stored again, some milliseconds later."""
    for table in ("ecg_packet", "ecg_block"):
        names = await _columns(admin, table)
        values = ", ".join("p.at + interval '4 ms'" if name == "at" else f"p.{name}" for name in names)
        done = await admin.execute(
            f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM {table} p, recording r {_newest(table)}"
        )
        if done.rowcount:
            return f"{done.rowcount} row of {table} of {_DEVICE} stored twice"
    raise LookupError("no row to store again")


async def _columns(admin: Admin, table: str) -> list[str]:
    found = await admin.execute(
        "SELECT column_name FROM information_schema.columns"
        " WHERE table_name = %s AND table_schema = 'public' ORDER BY ordinal_position",
        (table,),
    )
    return [str(row["column_name"]) for row in await found.fetchall()]


async def _with_a_bit_changed(admin: Admin, _: Plan) -> str:
    """One bit of the newest packet or block of a device is another."""
    for table, column in (("ecg_packet", "samples"), ("ecg_block", "payload")):
        changed = f"set_bit(p.{column}, 1777, 1 - get_bit(p.{column}, 1777))"
        done = await admin.execute(
            f"UPDATE {table} p SET {column} = {changed} FROM recording r {_newest(table)}"
        )
        if done.rowcount:
            return f"a bit of {done.rowcount} row of {table} of {_DEVICE} changed"
    raise LookupError("no row to change")


WAYS: Final[Mapping[str, Tamper]] = {
    "delete": _without_a_row,
    "twice": _with_a_row_twice,
    "bit": _with_a_bit_changed,
}
