"""dora-theory: where should the next rollout go, and can it be proved?"""
