"""Where joules come from: a file for each kind of sensor or meter. Importing them needs the standard library only."""
