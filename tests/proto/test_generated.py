from pathlib import Path

import pytest

from tickcast.gateway import messages
from tickcast.proto import tickcast_pb2 as wire
from tickcast.testing.protoc import PLUGIN, ROOT, generate

PYTHON = ROOT / "src/tickcast/proto"
TYPESCRIPT = ROOT / "sdk/typescript/src/protobuf"


def same(generated: Path, committed: Path) -> None:
    for file in generated.iterdir():
        expected = committed / file.name
        assert expected.exists(), f"{file.name} is not committed: make proto"
        assert expected.read_text() == file.read_text(), f"{file.name} is not what proto/ says: make proto"


def test_committed_types_are_what_the_files_say(tmp_path: Path) -> None:
    python, typescript = tmp_path / "python", tmp_path / "typescript"
    python.mkdir()
    typescript.mkdir()
    generate(python, typescript if PLUGIN.exists() else None)
    assert len(list(python.iterdir())) >= 2
    same(python, PYTHON)
    same(typescript, TYPESCRIPT)


@pytest.mark.parametrize("reply", messages.REPLIES, ids=lambda reply: reply.__name__)
def test_every_reply_has_a_message_with_all_its_keys(reply: type[messages.Reply]) -> None:
    kind = "status_snapshot" if reply is messages.StatusSnapshot else str(reply.__struct_config__.tag)
    entry = wire.Message.DESCRIPTOR.fields_by_name[kind].message_type
    assert entry is not None
    ours = set(reply.__struct_fields__) - {"layout"}
    assert ours <= set(entry.fields_by_name), f"{kind} of proto/tickcast.proto lacks a key"


@pytest.mark.parametrize("action", messages.REQUESTS)
def test_every_request_has_a_message_with_all_its_keys(action: str) -> None:
    entry = wire.ClientFrame.DESCRIPTOR.fields_by_name[action].message_type
    assert entry is not None
    ours = set(messages.REQUESTS[action].__struct_fields__) - {"id"}
    assert ours <= set(entry.fields_by_name), f"{action} of proto/tickcast.proto lacks a key"
