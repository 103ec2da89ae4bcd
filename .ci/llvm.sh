#!/usr/bin/env bash
# Puts LLVM where the build of cubecl-llvm (features `cuda` and `cpu` of Burn) looks for the
# bundle that tracel-llvm-bundler would otherwise download from GitHub.
#
#   .ci/llvm.sh [PREFIX]
#
# PREFIX is by default the folder in which tracel-llvm-bundler 23.1.0-4 looks:
# ${XDG_DATA_HOME:-$HOME/.local/share}/tracel/tracel-llvm-23.1.0-4. If the sentinel of a finished
# installation is there, nothing is done.
#
# The LLVM is that of two packages of PyPI (92 MB): static libraries of LLVM 23.1.1, for GNU's libstdc++, and
# its headers. Of its targets X86 and NVPTX are kept. Linux on x86-64 only. Needs python3 >= 3.10 with pip, and
# 500 MB while it runs, of which 240 MB stay.
set -euo pipefail

bundle=23.1.0-4
prefix=${1:-${XDG_DATA_HOME:-$HOME/.local/share}/tracel/tracel-llvm-$bundle}
sentinel=$prefix/.tracel-llvm-installed
targets='X86|NVPTX'

if [[ -e $sentinel ]]; then
    echo "LLVM is in $prefix"
    exit 0
fi
if [[ -e $prefix ]]; then
    echo "$0: $prefix is there, but $(basename "$sentinel") is not in it: remove the folder first" >&2
    exit 1
fi
if [[ $(uname -sm) != 'Linux x86_64' ]]; then
    echo "$0: the packages are those of Linux on x86-64" >&2
    exit 1
fi

mkdir -p "$(dirname "$prefix")"
work=$(mktemp -d "$prefix.XXXXXX")
trap 'rm -rf "$work"' EXIT

cat >"$work/requirements.txt" <<'REQUIREMENTS'
mlc-llvm-static==23.1.1.post0 --hash=sha256:dcfec888abfaa418be77d41af585805f31463584cf9c90582992c00f392c1ac5
mlc-llvm-static-extra-targets==23.1.1.post0 --hash=sha256:c36e834d9a4e9cf9759f27fece65711ece7a2fc2b5a96dbb15d66f5e9e787929
REQUIREMENTS
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
    --requirement "$work/requirements.txt" --dest "$work/wheels"
for wheel in "$work"/wheels/*.whl; do
    python3 -m zipfile -e "$wheel" "$work/unpacked"
done
rm -r "$work/wheels"
sdk=$work/unpacked/mlc_llvm_static/static

# What llvm-config answers, asked once, with the libraries of all targets.
libraries=$(python3 "$sdk/bin/llvm-config.py" --libs)
system=$(python3 "$sdk/bin/llvm-config.py" --system-libs)
flags() { python3 "$sdk/bin/llvm-config.py" "$1" | sed 's|^-I.*/static/include ||'; }
cxxflags=$(flags --cxxflags)
cflags=$(flags --cflags)
version=$(python3 "$sdk/bin/llvm-config.py" --version)

# Only the targets that are wanted: 20 others weigh 160 MB and would be linked into every program,
# because `LLVMInitializeAllTargets` names each.
others=$(sed -nE 's/^LLVM_TARGET\((.*)\)$/\1/p' "$sdk/include/llvm/Config/mlc-all/Targets.def" | grep -vxE "$targets" | paste -sd'|')
for list in "$sdk"/include/llvm/Config/mlc-all/*.def; do
    sed -E -i "/^LLVM_[A-Z_]+\((.*)\)$/{/\(($targets)\)$/!d}" "$list"
    cp "$list" "$sdk/include/llvm/Config/"
done
cp "$sdk/include/llvm/Config/mlc-all/Targets.h" "$sdk/include/llvm/Config/"
others_library="LLVM($others)(AsmParser|CodeGen|Desc|Disassembler|Info|Utils|TargetMCA|Analysis)"
libraries=$(tr ' ' '\n' <<<"$libraries" | grep -vE "^-l$others_library\$" | paste -sd' ')
find "$sdk/lib" -regextype posix-extended -regex ".*/lib$others_library\.a" -delete
rm -r "$sdk/lib/clang" "$sdk/lib/cmake" "$sdk/bin"

mkdir "$sdk/bin"
cat >"$sdk/bin/llvm-config" <<WRAPPER
#!/bin/sh
# Written by .ci/llvm.sh of ffsvc: answers what tracel-llvm-bundler asks.
prefix=\$(cd "\$(dirname "\$0")/.." && pwd)
for argument in "\$@"; do
    case \$argument in
        --link-static) ;;
        --libs) echo '$libraries' ;;
        --libnames) echo '$libraries' | sed -E 's/-l([^ ]+)/lib\1.a/g' ;;
        --system-libs) echo '$system' ;;
        --libdir) echo "\$prefix/lib" ;;
        --includedir) echo "\$prefix/include" ;;
        --cxxflags) echo "-I\$prefix/include $cxxflags" ;;
        --cflags) echo "-I\$prefix/include $cflags" ;;
        --version) echo '$version' ;;
        --prefix) echo "\$prefix" ;;
        *) echo "llvm-config: \$argument is not answered" >&2; exit 1 ;;
    esac
done
WRAPPER
chmod +x "$sdk/bin/llvm-config"
cp -r "$work/unpacked/mlc_llvm_static/licenses" "$sdk/share/licenses"

# Last, and all at once: the folder is there whole or not at all.
touch "$sdk/$(basename "$sentinel")"
mv -T "$sdk" "$prefix"
echo "LLVM $version is in $prefix ($(du -sh "$prefix" | cut -f1))"
