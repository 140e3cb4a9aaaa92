#!/bin/bash
# dracut module for vm_anon_name; see dracut.modules(7).

# Included only by name: dracut --add vm-anon-name.
check() {
	require_binaries vm_anon_name || return 1
	return 255
}

depends() {
	return 0
}

install() {
	inst_multiple vm_anon_name
	inst_hook pre-udev 95 "$moddir/probe.sh"
}
