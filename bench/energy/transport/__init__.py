"""How external meters are reached: JSON over HTTP, and lines of a device, a file or a program."""
