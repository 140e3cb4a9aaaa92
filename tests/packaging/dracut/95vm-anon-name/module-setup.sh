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
	# Before dracut looks for root=, without which it does not go on.
	inst_hook cmdline 05 "$moddir/probe.sh"
}
