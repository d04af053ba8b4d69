"""The record's ``communication`` block."""

from __future__ import annotations

from bench.record.communication_record import AllReduceTrialRecord, CommChoiceRecord, CommunicationRecord
from bench.run.gathered_run import GatheredRun


def communication_block(gathered: GatheredRun) -> CommunicationRecord:
    """What was chosen for each axis; all ranks agreed on it, so rank 0 tells it.

    Args:
        gathered: The run that is over.

    Returns:
        The block; without choices where one rank ran.
    """
    return CommunicationRecord(
        choices=[
            CommChoiceRecord(
                axis=choice.axis,
                option=choice.option,
                value=choice.value,
                chosen_by=choice.chosen_by,
                reason=choice.reason,
                measured=[AllReduceTrialRecord(**vars(trial)) for trial in choice.measured],
            )
            for choice in gathered.reports[0].comm_choices
        ]
    )
