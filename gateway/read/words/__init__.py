"""The author's own words: without quotes, signatures and pasted lines, and in which language they are."""
