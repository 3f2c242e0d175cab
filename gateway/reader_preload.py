"""What the fork server loads before it makes the first reader: every module a reading needs, and the language model."""

import gc

import gateway.reading
from gateway.extract import language, topics

language.prepare()
for spoken in (None, *language.KNOWN):
    for text in ("e", "é"):  # with accents and without
        topics.topics_of(text, text, False, language=spoken)
gateway.reading  # noqa: B018
gc.freeze()  # what is loaded here stays shared between the readers
