"""Files in and out: JSON lines, problem lines, files written whole or not at all, the store.

`jsonl` reads lines and says `file:line: field` of a bad one; `problem_lines` parses what `allocate`
takes and `state_lines` what `plan` takes; `atomic_write` puts a file in place in one step; `tables`
aligns and writes tables; `store` keeps sweeps in Parquet; `extras` names what is not installed. May
import the checks, and nothing of the mathematics.
"""
