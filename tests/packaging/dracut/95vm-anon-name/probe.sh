#!/bin/sh
# Says at boot whether the kernel can name anonymous memory, if vm_anon_name.probe is on
# the kernel's command line.
if getargbool 0 vm_anon_name.probe; then
	vm_anon_name_status=0
	vm_anon_name probe || vm_anon_name_status=$?
	echo "vm_anon_name: exit status $vm_anon_name_status"
	unset vm_anon_name_status
fi
