"""The strategies by name: what each needs, its options, and how it runs on padded problems."""
