"""The verbs of ``python -m analysis``, one file each: ``add_arguments`` for its words, ``run`` for its work.

``analysis.__main__`` imports the one that is called.
"""

STUDY_HELP = "folder of the study, results/STUDY, or of its records of one commit, results/STUDY@COMMIT"
