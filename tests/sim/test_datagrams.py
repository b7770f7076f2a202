"""The whole simulator with both datagram exchanges: the ready line, the truth, the state, faults by HTTP."""

from pathlib import Path

from tests.sim.mold_itch.receiver import parse
from tests.sim.pitch.reference import parse as parse_pitch
from tests.sim.test_server import get, process
from tests.sim.udp.sockets import Socket


async def test_both_are_served_and_can_be_looked_into(tmp_path: Path) -> None:
    mold_a, mold_b, pitch_a, pitch_b = sockets = [Socket() for _ in range(4)]
    config = tmp_path / "sim.toml"
    config.write_text(
        "symbols = 40\nrate = 2000\n[market]\nopen_after_ms = 50\n"
        f'[venues.XBOS]\ndialect = "mold_itch"\nlines = ["{mold_a.address}", "{mold_b.address}"]\n'
        f'[venues.BATS]\ndialect = "pitch"\nlines_a = ["{pitch_a.address}"]\nlines_b = ["{pitch_b.address}"]\n'
        "units = 2\ngap_lines = []\n"
    )
    async with process("--config", str(config)) as (_, ready):
        assert ready["venues"]["XBOS"]["lines"] == [mold_a.address, mold_b.address]
        assert ready["venues"]["BATS"]["lines"] == [pitch_a.address, pitch_b.address]
        assert set(ready["venues"]["BATS"]) == {"lines", "gap_address", "gap_lines", "spin_address"}
        for one in sockets:
            await one.wait(lambda found: len(found) > 20)
        admin = ready["admin"]
        await get(admin + "/pause", "POST")
        _, state = await get(admin + "/state")
        xbos, bats = state["venues"]["XBOS"], state["venues"]["BATS"]
        await mold_b.wait(lambda found: any(sum(parse(one)[1:3]) == xbos["next_sequence"] for one in found))
        for unit in ("1", "2"):
            last = bats["units"][unit]["next_sequence"]
            await pitch_b.wait(
                lambda found, unit=unit, last=last: any(  # type: ignore[misc]
                    count and (its, sequence + count) == (int(unit), last)
                    for count, its, sequence, _ in map(parse_pitch, found)
                )
            )
        for venue in ("XBOS", "BATS"):
            _, truth = await get(f"{admin}/truth/{venue}")
            assert truth["symbols"]["AAPL"]["symbol"] == "AAPL"
            assert truth["symbols"]["AAPL"]["trades"] >= 1
        _, faults = await get(admin + "/faults")
        assert "A/2" in faults["venues"]["BATS"]["lines"]
        assert faults["venues"]["XBOS"]["lines"] == ["A", "B", "rerequest"]
    for one in sockets:
        one.close()
