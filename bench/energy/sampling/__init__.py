"""Reading the sensors of every host while the ranks work: settings, meters of the inventory, the sampler process."""
