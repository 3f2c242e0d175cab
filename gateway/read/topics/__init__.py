"""What a mail is about: a lexicon and a grammar for each language, weighed into department, question, requests and
outages."""
