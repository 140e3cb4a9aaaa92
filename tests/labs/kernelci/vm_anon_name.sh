#!/bin/sh
# Runs the conformance suite of vm_anon_name, whose path is the first argument. Writes a line
# `CASE pass|fail|skip` for each case and one for the whole run to output/result.txt, and the
# report to output/report.ktap.
mkdir -p output
status=0
"$1" check > output/report.ktap || status=$?
cat output/report.ktap
# If check cannot read the maps or fork, it reports no case, but its exit status still counts.
case $status in
0) result=pass ;;
4) result=skip ;;
*) result=fail ;;
esac
{
	sed -n 's/^# vm_anon_name: \([^ ]*\): \([a-z]*\)$/\1 \2/p' output/report.ktap
	echo "vm_anon_name $result"
} > output/result.txt
