"""Studies to give away: published folders and the gallery."""
