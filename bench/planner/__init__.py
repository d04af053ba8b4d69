"""Which parallelism, on which boards, in which shares? ``python -m bench.planner profile|plan|simulate``.

profile_ranks.py                on every host: seconds of the parts of the model, of messages and of waiting
prediction/cluster_profile.py   the profile, a file; whether it speaks of a point
prediction/step_cost.py         a plan and a profile -> seconds, and joules, of a step: a prediction, nothing runs
prediction/share_split.py       shares that make boards of different speed end together
search.py                       all strategies, meshes, participants and orders, priced
"""
