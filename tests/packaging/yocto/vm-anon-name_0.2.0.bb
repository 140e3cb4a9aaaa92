SUMMARY = "Shows, explains and tests the names of anonymous memory"
DESCRIPTION = "One static executable that names memory with prctl(PR_SET_VMA), says whether the \
running kernel can do that and why not, and tests how it does."
SECTION = "devel"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://LICENSE;md5=0827d5d6b037e859f21a0fe39921db45"

# The file vm_anon_name-${PV}.crate of the release, in the directory `files` and with this name,
# because bitbake unpacks files by their extension.
SRC_URI = "file://vm_anon_name-${PV}.tar.gz"

# The crates that the program uses; `bitbake -c update_crates vm-anon-name` writes this file.
require ${BPN}-crates.inc

S = "${UNPACKDIR}/vm_anon_name-${PV}"

inherit cargo cargo-update-recipe-crates

# The program was not built with the triples of other hosts. It needs rustc 1.88 or newer.
COMPATIBLE_HOST = "(aarch64|x86_64).*-linux"

CVE_PRODUCT = "vm_anon_name"

# OpenEmbedded strips the file, and keeps its symbols in the package -dbg.
export CARGO_PROFILE_RELEASE_STRIP = "none"
export CARGO_PROFILE_RELEASE_DEBUG = "2"
