"""The failure of a device: a rank is killed, the others notice, share its work, and go on (docs/how-to/faults.md).

settings     the ``fault`` section of a point, and the plan of the survivors
pieces       who holds which part of the state, who keeps a copy, who sends what to whom; pure
copies       the state of the training in the memory of the ranks, and its way back
surviving    the run: steps with copies, the kill, noticing, shrinking, building again, the lost steps, going on
block        the record's ``fault`` block
"""
