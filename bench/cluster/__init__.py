"""The boards: classes, links, inventories and hostfiles, and who takes part."""
