"""What we depend on, by what is installed and locked here: licences, pins, known holes, hooks. No network."""

import json
import re
import shutil
import subprocess
from collections import defaultdict
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PYTHON_LOCKS = ("requirements.lock", "requirements-dev.lock")
NODE_LOCKS = ("dashboard/package-lock.json", "sdk/typescript/package-lock.json")
CRATES_IO = "registry+https://github.com/rust-lang/crates.io-index"
PERMISSIVE = {
    "0BSD", "Apache", "Apache-2.0", "Apache Software License", "BSD", "BSD License", "BSD-2-Clause", "BSD-3-Clause",
    "BSL-1.0",
    "3-Clause BSD License", "CC0-1.0", "CNRI-Python", "ISC", "LLVM-exception", "MIT", "MIT License", "MIT-0", "OFL-1.1",
    "PSF-2.0", "Python Software Foundation License", "Unicode-3.0", "Unlicense", "Zlib", "DFSG approved",
}  # fmt: skip
FILE_BY_FILE = {"bidict", "certifi", "hypothesis", "lightningcss", "pathspec"}
"""Under the Mozilla Public License, whose terms concern their own files: used as they are, and named here."""
SAID_IN_A_FILE = {"aiofastnet", "picows"}
"""Packages whose metadata name no licence, but hold its text."""
FIXED_IN = {
    "aiohttp": ("3.12.14", "CVE-2025-53643, requests smuggled in trailers"),
    "certifi": ("2024.7.4", "CVE-2024-39689, roots that were withdrawn"),
    "cryptography": ("44.0.1", "CVE-2024-12797, an OpenSSL that trusts raw keys"),
    "h11": ("0.16.0", "CVE-2025-43859, requests smuggled in chunks"),
    "idna": ("3.7", "CVE-2024-3651, time without bound"),
    "protobuf": ("6.31.1", "CVE-2025-4565, recursion without bound"),
    "pyarrow": ("14.0.1", "CVE-2023-47248, code in files"),
    "pyjwt": ("2.10.1", "CVE-2024-53861, an issuer compared in part"),
    "python-socketio": ("5.14.0", "CVE-2025-61765, pickles between servers"),
    "redis": ("4.5.5", "CVE-2023-28859, answers of another request"),
    "requests": ("2.32.4", "CVE-2024-47081, passwords sent to other hosts"),
    "starlette": ("0.49.1", "CVE-2025-62727, ranges in quadratic time"),
    "urllib3": ("2.5.0", "CVE-2025-50181, redirects that were forbidden"),
    "werkzeug": ("3.0.6", "CVE-2024-49767, forms without bound"),
}
"""Versions in which known holes are closed; whoever adds a dependency looks for its own."""
NEVER = {
    "colourama", "python-dateutils", "python3-dateutil", "jeilyfish", "ctx", "request", "requesuts", "urlib3",
    "crossenv",
    "event-stream", "flatmap-stream", "node-ipc", "rustdecimal", "faster_log", "async_println",
}  # fmt: skip
"""Names under which others' machines were attacked."""
PATH_HOOKS = {"setuptools": {"distutils-precedence.pth"}}
NODE_SCRIPTS = {"@scarf/scarf", "fsevents", "esbuild"}
"""Packages with scripts of installation; none of them is run."""


def pins() -> dict[str, set[str]]:
    """Versions of each locked package, and a check that each has hashes."""
    found: dict[str, set[str]] = defaultdict(set)
    for lock in PYTHON_LOCKS:
        text = (ROOT / lock).read_text()
        entries = re.split(r"\n(?=[A-Za-z0-9])", re.sub(r"^ *#.*\n", "", text, flags=re.MULTILINE))
        for entry in filter(str.strip, entries):
            match = re.match(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", entry)
            assert match, f"{lock}: not pinned to one version: {entry.splitlines()[0]}"
            assert "--hash=sha256:" in entry, f"{lock}: {match[1]} without hashes"
            found[match[1].lower()].add(match[2])
    assert len(found) > 40
    return found


def installed() -> dict[str, metadata.Distribution]:
    """Locked packages that this environment has: some are for other systems."""
    known = {}
    for name in pins():
        try:
            known[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
    assert len(known) > 40
    return known


def licence_of(distribution: metadata.Distribution) -> str:
    fields = distribution.metadata
    classifiers = fields.get_all("Classifier") or []
    named = [entry.split("::")[-1].strip() for entry in classifiers if entry.startswith("License")]
    said = {key: fields[key] for key in ("License-Expression", "License") if key in fields}
    return said.get("License-Expression") or " OR ".join(named) or said.get("License", "")


def is_permissive(licence: str) -> bool:
    """Whether one may choose permissive terms; ``AND`` needs all of its parts."""
    alternatives = re.split(r"\s+OR\s+|/|;", re.sub(r"[()]", "", licence))
    return any(
        all(part.strip() in PERMISSIVE for part in re.split(r"\s+(?:AND|WITH)\s+", alternative))
        for alternative in alternatives
    )


def number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def test_python_packages_are_pinned_and_installed_as_pinned() -> None:
    wrong = {name: found.version for name, found in installed().items() if found.version not in pins()[name]}
    assert not wrong


def test_licences_of_python_packages_are_permissive() -> None:
    for name, distribution in installed().items():
        if name in SAID_IN_A_FILE:
            texts = [file.read_text() for file in distribution.files or [] if "LICENSE" in file.name.upper()]
            assert any("MIT License" in text for text in texts), name
        elif name not in FILE_BY_FILE:
            assert is_permissive(licence_of(distribution)), f"{name}: {licence_of(distribution)!r}"


def test_a_licence_is_judged_by_all_of_its_parts() -> None:
    assert is_permissive("MIT OR GPL-3.0")
    assert is_permissive("(Apache-2.0 AND BSD-3-Clause)")
    assert not is_permissive("GPL-3.0")
    assert not is_permissive("MIT AND AGPL-3.0-only")
    assert not is_permissive("")


def test_no_known_hole_is_installed() -> None:
    names = pins()
    assert not NEVER & set(names)
    for name, (fixed, hole) in FIXED_IN.items():
        for version in names.get(name, ()):
            assert number(version) >= number(fixed), f"{name} {version}: {hole}"
    assert len(set(FIXED_IN) & set(names)) > 10, "the list concerns what is used"


def test_no_python_package_runs_code_when_an_interpreter_starts() -> None:
    for name, distribution in installed().items():
        hooks = {file.name for file in distribution.files or [] if file.name.endswith(".pth")}
        assert hooks <= PATH_HOOKS.get(name, set()), f"{name}: {hooks}"


@pytest.mark.parametrize("lock", NODE_LOCKS)
def test_node_packages_have_hashes_permissive_licences_and_no_scripts_that_run(lock: str) -> None:
    packages: dict[str, dict[str, Any]] = json.loads((ROOT / lock).read_text())["packages"]
    assert "ignore-scripts=true" in (ROOT / lock).with_name(".npmrc").read_text()
    for path, package in packages.items():
        name = path.rpartition("node_modules/")[2]
        if not name or package.get("link"):
            continue
        assert package.get("integrity", "").startswith("sha512-"), f"{name} without a hash"
        assert name not in NEVER
        assert not package.get("hasInstallScript") or name in NODE_SCRIPTS, f"{name} has a script of installation"
        licence = package.get("license", "")
        assert is_permissive(licence) or licence == "MPL-2.0", f"{name}: {licence!r}"


def test_crates_come_from_the_registry_with_permissive_licences() -> None:
    lock = (ROOT / "Cargo.lock").read_text()
    entries = lock.split("[[package]]\n")[1:]
    foreign = [entry for entry in entries if "source = " in entry]
    assert foreign
    for entry in foreign:
        assert f'source = "{CRATES_IO}"' in entry, entry
        assert "checksum = " in entry, entry
    cargo = shutil.which("cargo")
    if cargo is None:
        pytest.skip("cargo is missing: licences are read from its metadata")
    listed = subprocess.run(
        [cargo, "metadata", "--offline", "--locked", "--format-version", "1"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode:
        pytest.skip(f"cargo has not all crates here: {listed.stderr.strip()[-200:]}")
    for package in json.loads(listed.stdout)["packages"]:
        assert package["name"] not in NEVER
        if package["source"] is not None:
            assert is_permissive(package["license"] or ""), f"{package['name']}: {package['license']}"
