"""What a report consists of: its content, the page, Markdown, the commands that make the study again."""
