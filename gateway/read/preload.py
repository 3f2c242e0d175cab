"""What the fork server loads before it makes the first reader: every module a reader needs, and the language model."""

import gc

import charset_normalizer  # noqa: F401 - what reading imports where it needs it, which few mails do
import icalendar  # noqa: F401
import mailparser  # noqa: F401
import striprtf.striprtf  # noqa: F401
import tnefparse  # noqa: F401

import gateway.read.reader
import gateway.read.reading
from gateway.read import late
from gateway.read.topics import rules, topics
from gateway.read.words import language, model

language.prepare()
for spoken in (None, *model.KNOWN):
    for text in ("e", "é"):  # with accents and without
        topics.topics_of(rules.Asked(text, text, False, language=spoken))
gateway.read.reading, gateway.read.reader  # noqa: B018
late.compile_all()
gc.freeze()  # what is loaded here stays shared between the readers
