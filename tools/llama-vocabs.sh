#!/usr/bin/env bash
# Prints the folder of llama.cpp's vocabulary files (GGUF headers with test strings and their ids) and, in templates/, its
# chat templates, fetched the first time out of the source package of llama-cpp-python. They are read by
# tests/full_vocabs.rs and tests/full_templates.rs of crates/text and never committed.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

package=llama-cpp-python version=0.3.36
sha256=832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e
folder="$cache/llama-vocabs-$version"
if [ -d "$folder/templates" ]; then
    printf '%s\n' "$folder"
    exit 0
fi

mkdir -p "$cache"
temporary="$(mktemp -d "$cache/.fetch-XXXXXX")"
trap 'rm -rf "$temporary"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# pip asks a source package's build backend for metadata before it saves the package, and the real backend would build
# CMake for that (minutes). This one only answers the question.
mkdir -p "$temporary/backend/scikit_build_core" "$temporary/models"
touch "$temporary/backend/scikit_build_core/__init__.py"
cat >"$temporary/backend/scikit_build_core/build.py" <<PYTHON
import pathlib

def prepare_metadata_for_build_wheel(folder, config_settings=None):
    info = pathlib.Path(folder, "llama_cpp_python-$version.dist-info")
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: $package\nVersion: $version\n")
    return info.name
PYTHON

say "fetching llama.cpp's vocabulary files and chat templates (77 MB, once)"
TMPDIR="$temporary" PYTHONPATH="$temporary/backend" python3 -m pip download --no-deps --no-build-isolation --no-cache-dir \
    --disable-pip-version-check --no-binary :all: --dest "$temporary" "$package==$version" </dev/null >&2 ||
    die "pip could not download the source of $package: see its message above"
archive="$(echo "$temporary"/*.tar.gz)"
found="$(python3 -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' "$archive")"
[ "$found" = $sha256 ] || die "the source of $package has SHA-256 $found, expected $sha256"
tar -xzf "$archive" -C "$temporary/models" --strip-components=4 --wildcards \
    '*/vendor/llama.cpp/models/ggml-vocab-*' '*/vendor/llama.cpp/models/templates/*'
rm -rf "$folder"
mv -T "$temporary/models" "$folder"
printf '%s\n' "$folder"
