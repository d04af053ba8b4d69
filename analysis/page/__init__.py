"""The report: its content as a page, as Markdown, and the figures and tables beside it."""
