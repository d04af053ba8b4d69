"""Seconds and joules of a step, predicted from a plan and a measured profile of the cluster. Pure; nothing runs."""
