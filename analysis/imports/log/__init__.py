"""A meter's log by itself: its readings over civil time, whose power its columns are, how its format is told."""
