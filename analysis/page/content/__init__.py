"""Everything that a report says about a study, before it becomes a page or Markdown."""
