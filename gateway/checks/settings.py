"""The section of what watches the service: ``[canary]``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gateway.settings import Seconds, Section


class Canary(Section):
    """``[canary]``: two alarms for mail that does not come.

    A probe mail to ourselves goes out by the relay and must come back by the way in that customers' mail takes; and an
    hour that brings much less mail than the same hour usually does. docs/operations.md says what the alarms
    mean.
    """

    every: Seconds = 0.0
    """A probe mail to ourselves by the relay this often, such as 10m; 0s: none."""
    within: Seconds = 300.0
    """An alarm when it is not back by then."""
    usual_share: Annotated[float, Field(ge=0, le=1)] = 0.2
    """An alarm when the last hour brought less than this part of the median of the same hour of the last four weeks,"""
    usual_least: Annotated[int, Field(ge=1)] = 20
    """where that median is so many mails or more."""
