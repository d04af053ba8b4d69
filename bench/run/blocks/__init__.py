"""The blocks of a record, one builder a file: from the reports of the ranks to typed blocks."""
