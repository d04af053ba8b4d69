"""Which parallelism, on which boards, in which shares? ``python -m bench.planner profile|plan|simulate``.

measure.py   on every host: seconds of the parts of the model, of messages and of waiting
profile.py   what came back, a file; whether it speaks of a point
cost.py      a plan and a profile -> seconds, and joules, of a step: a prediction, nothing runs
split.py     shares that make boards of different speed end together
search.py    all strategies, meshes, participants and orders, priced
"""
