"""The section of what watches the service: ``[canary]``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gateway.settings import Seconds, Section


class Canary(Section):
    """``[canary]``: a probe mail through the real way in, and how much mail is usual."""

    every: Seconds = 0.0
    within: Seconds = 300.0
    usual_share: Annotated[float, Field(ge=0, le=1)] = 0.2
    usual_least: Annotated[int, Field(ge=1)] = 20
