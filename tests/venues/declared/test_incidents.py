"""Frames that nobody could read, in the ledger's words."""

from tickcast.venues.declared.incidents import of_damage

TIMES = [10, 20, 30]


def test_frames_that_are_no_json_are_one_incident_of_the_connection() -> None:
    dead = [
        (0, 'book of "X": expected a number'),
        (1, "expected JSON, found at byte 3: a letter"),
        (2, "expected JSON, x"),
    ]
    damage = of_damage(dead, link="streams-1", times=TIMES)
    assert damage is not None
    assert (damage.kind, damage.scope, damage.link, damage.ts_ns) == ("damaged", "connection", "streams-1", 20)
    assert damage.instruments == ()
    assert damage.reason.startswith("2 frames that could not be read")
    assert "at byte 3" in damage.reason


def test_one_frame_is_told_as_one() -> None:
    damage = of_damage([(2, "expected JSON, found at byte 0: nothing")], link="a", times=TIMES)
    assert damage is not None
    assert damage.reason.startswith("a frame that could not be read")
    assert damage.ts_ns == 30


def test_what_could_be_read_is_no_damage_of_the_connection() -> None:
    assert of_damage([(0, "unknown name")], link="a", times=TIMES) is None
    assert of_damage([], link="a", times=TIMES) is None
