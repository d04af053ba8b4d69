"""Programs that ran under ``edgejoule monitor``: their records to a page, figures and tables."""
