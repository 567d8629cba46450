"""The strategies by name: what each needs, its options, and how it runs on padded problems.

`registry` holds every strategy once, with its name and rule (eq. 1-4, 10-13; theory 3); `options`
validates T_b, T_s, κ and ν, `problems` pads, `choosing` finds a strategy or a rule of your own,
`allocate` runs one, `batches` does so for the lines of a file, `plans` lists the plans of many
problems. May import the theory (`allocation` and above).
"""
