"""Compiles for GPUs that are not there, and reads what the compiler made.

`devices` describes them, `programs` lists what is compiled, `machine_code` reads PTX and what the
assembler says of it, `compiling` runs one JAX version's share, `limits` says what fails, `predict`
turns instruction counts into times (predictions), `environments` makes what it all runs in.
"""
