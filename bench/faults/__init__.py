"""The failure of a device: a rank is killed, the others notice, share its work, and go on (docs/how-to/faults.md).

fault_settings   the ``fault`` section of a point, and the plan of the survivors
state_pieces     who holds which part of the state, who keeps a copy, who sends what to whom; pure
state_copies     the state of the training in the memory of the ranks, and its way back
recovery         the run: steps with copies, the kill, noticing, shrinking, building again, replayed steps, going on
fault_block      the record's ``fault`` block
fault_checks     whether copies were as planned and the survivors went on with the same training
"""
