#!/usr/bin/env bash
# allocate --stream as a child of a shell script: a line out, a line in, and a bad line on the way.
coproc allocate { dora-theory allocate - --stream --strategy rebase --budget 16; }
ask() {
  printf '%s\n' "$1" >&"${allocate[1]}"
  read -r answer <&"${allocate[0]}"
  printf '%s\n' "$answer"
}
child=$allocate_PID
ask '{"id": 1, "scores": [0.9, 0.5, 0.5]}'
ask '{"id": 2, "scores": [0.9, 0.5,'
ask '{"id": 3, "scores": [0.7, 0.7, 0.1]}'
# The end of its input ends it; 2 says that a line was bad.
exec {allocate[1]}>&-
wait "$child"
echo "exit status $?"
