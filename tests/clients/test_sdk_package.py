"""The SDK for TypeScript as it is published: a strict program compiles and runs with it."""

import json
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from tests.clients.node_process import node
from tests.clients.sdk_process import SDK

SIZES = Path(__file__).parents[2] / "bench" / "sdk_sizes.mjs"

PROGRAM = """
import { addDecimals, ClosedError, connect, type BookView, type Tick } from "tickcast";
import { PROTOBUF_CODEC, ServerFrameSchema } from "tickcast/protobuf";
import { useBook, useTicks } from "tickcast/react";

async function main(): Promise<void> {
  const market = connect("http://127.0.0.1:9", { token: async () => "secret", codec: "msgpack" });
  const prices = market.prices(["AAPL"], { rate: 5, fields: ["price", "bid"] });
  prices.on((tick: Tick) => console.log(tick.price, tick.state));
  market.books("AAPL", { depth: 50 }).on((book: BookView) => console.log(book.bids[0]?.price));
  market.on("connection", (connection) => {
    if (connection.phase === "offline") market.close();
  });
  await market.live().catch((error: unknown) => console.log(error instanceof ClosedError));
  console.log(addDecimals("0.1", "0.2"), typeof useBook, typeof useTicks);
  connect("http://127.0.0.1:9", { codec: PROTOBUF_CODEC }).close();
  console.log(PROTOBUF_CODEC.subprotocol, ServerFrameSchema.typeName);
}
void main();
"""
OPTIONS = {
    "compilerOptions": {
        "target": "ES2022", "module": "NodeNext", "strict": True, "outDir": "out",
        "lib": ["ES2022", "DOM"], "types": [],
    }
}  # fmt: skip


def npm(*words: str, cwd: Path) -> str:
    found = shutil.which("npm")
    if found is None:
        pytest.skip("no npm")
    told = subprocess.run([found, *words], cwd=cwd, capture_output=True, text=True, check=True, timeout=120)
    return told.stdout


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the packed SDK in its ``node_modules``, and what the SDK may be used with."""
    if not (SDK / "dist" / "index.js").exists() or not (SDK / "node_modules").exists():
        pytest.skip("the SDK is not built: run `make sdk`")
    project = tmp_path_factory.mktemp("project")
    told = json.loads(npm("pack", "--json", "--ignore-scripts", f"--pack-destination={project}", cwd=SDK))
    packed = told[0] if isinstance(told, list) else next(iter(told.values()))
    with tarfile.open(project / packed["filename"]) as tar:
        tar.extractall(project / "node_modules", filter="data")
    (project / "node_modules" / "package").rename(project / "node_modules" / "tickcast")
    for name in ("react", "@types", "@bufbuild", "csstype"):
        (project / "node_modules" / name).symlink_to(SDK / "node_modules" / name)
    (project / "package.json").write_text('{"type": "module"}')
    return project


def test_it_holds_code_types_and_nothing_else(package: Path) -> None:
    root = package / "node_modules" / "tickcast"
    files = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert {"package.json", "README.md", "LICENSE", "dist/index.js", "dist/index.d.ts", "dist/react.js"} <= files
    others = {name for name in files if not name.endswith((".js", ".d.ts"))}
    assert others == {"package.json", "README.md", "LICENSE"}
    assert not {name for name in files if "test" in name}
    stated = json.loads((root / "package.json").read_text())
    assert "dependencies" not in stated, "it needs nothing but what its user brings"
    assert set(stated["peerDependencies"]) == set(stated["peerDependenciesMeta"]) == {"react", "@bufbuild/protobuf"}
    for entry in stated["exports"].values():
        for target in [entry] if isinstance(entry, str) else entry.values():
            assert (root / target).is_file()


def test_a_strict_program_compiles_against_its_types_and_runs(package: Path) -> None:
    (package / "main.ts").write_text(PROGRAM)
    (package / "tsconfig.json").write_text(json.dumps(OPTIONS))
    compiler = SDK / "node_modules" / ".bin" / "tsc"
    told = subprocess.run([str(compiler)], cwd=package, capture_output=True, text=True, check=False, timeout=120)
    assert told.returncode == 0, told.stdout
    run = [node(), str(package / "out" / "main.js")]
    shown = subprocess.run(run, capture_output=True, text=True, check=False, timeout=60)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.splitlines() == [
        "true", "0.3 function function", "tickcast.proto tickcast.v1.ServerFrame",
    ]  # fmt: skip


def test_a_page_carries_the_library_of_protobuf_only_if_it_chose_that_codec(package: Path) -> None:
    assert "index.js" in {path.name for path in loaded(package, "index.js")}
    for entry in ("index.js", "react.js"):
        assert not {path for path in loaded(package, entry) if "protobuf" in path.parts}
    told = subprocess.run([node(), str(SIZES), "--json"], capture_output=True, text=True, check=True, timeout=60)
    plain, with_protobuf = json.loads(told.stdout)
    assert [plain["of @bufbuild/protobuf"], with_protobuf["of @bufbuild/protobuf"]] == [False, True]
    assert plain["gzip"] < with_protobuf["gzip"]


def loaded(package: Path, entry: str) -> set[Path]:
    """The modules of the package that an entry loads."""
    dist = package / "node_modules" / "tickcast" / "dist"
    found: set[Path] = set()
    waiting = [dist / entry]
    while waiting:
        path = waiting.pop().resolve()
        if path not in found:
            found.add(path)
            names = re.findall(r"""(?:from|import)\s*\(?\s*["'](\.[^"']+)["']""", path.read_text())
            waiting += [path.parent / name for name in names]
    return {path.relative_to(dist.resolve()) for path in found}


def test_no_module_needs_node_or_a_browser_to_be_loaded(package: Path) -> None:
    for path in (package / "node_modules" / "tickcast" / "dist").rglob("*.js"):
        text = path.read_text()
        assert 'from "node:' not in text, path
        assert "require(" not in text, path
