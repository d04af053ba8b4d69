"""Records to statistics, figures, tables and a report. Needs neither torch nor MPI."""
