"""The time-energy front without the grid: which combination of a sweep's keys runs next, from what the others took.

``docs/how-to/search.md`` says how to use it. ``search_space`` has the combinations, ``optuna_sampler`` asks for the next one,
``pareto_front`` says which are on the front and which of them need repeats, ``choice_log`` keeps why each was asked, and
``search_campaign`` runs them, under the locks, the progress and the records of every campaign.
"""
