################################################################################
#
# vm-anon-name
#
################################################################################

VM_ANON_NAME_VERSION = 0.2.0
# The file vm_anon_name-$(VM_ANON_NAME_VERSION).crate of the release, in this directory
# and with this name, because Buildroot unpacks files by their extension.
VM_ANON_NAME_SOURCE = vm_anon_name-$(VM_ANON_NAME_VERSION).tar.gz
VM_ANON_NAME_SITE = $(BR2_EXTERNAL_VM_ANON_NAME_PATH)/package/vm-anon-name
VM_ANON_NAME_SITE_METHOD = file
VM_ANON_NAME_LICENSE = MIT
VM_ANON_NAME_LICENSE_FILES = LICENSE

# Buildroot replaces the release profile of Cargo.toml. With these values, the program
# is a sixth smaller than with Buildroot's for BR2_OPTIMIZE_2.
VM_ANON_NAME_CARGO_ENV = \
	CARGO_PROFILE_RELEASE_OPT_LEVEL=z \
	CARGO_PROFILE_RELEASE_LTO=fat \
	CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1

$(eval $(cargo-package))
