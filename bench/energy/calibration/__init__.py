"""A board's sensor against a better meter, and what a waiting rank draws."""
