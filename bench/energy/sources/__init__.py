"""Where joules come from: a file for each kind of source. Importing them needs the standard library only."""
