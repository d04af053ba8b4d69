"""Under which conditions a point ran: machine, software, state of the hosts before and after, and whether they agree."""
