"""From the ledgers of the ranks to one axis of time: clocks, states, schedules, and what a rank hands in."""
