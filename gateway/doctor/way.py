"""A probe mail through the real way: by the relay, from us to us, until the service has worked on it."""

from __future__ import annotations

import asyncio
from functools import partial

from gateway import service
from gateway.checks import probe
from gateway.config import Settings
from gateway.database.store import Store, StoreError, utc_now
from gateway.doctor.finding import Finding, ok, wrong
from gateway.replies.render import Templates

LOOK_S = 0.2


async def probed(settings: Settings, seconds: float) -> Finding:
    """Sends the probe and waits for it; it leaves no rows."""
    store = Store(settings.database_url)
    try:
        await asyncio.to_thread(store.open, utc_now(), False)
        return await _probed(settings, store, seconds)
    except (StoreError, OSError) as error:
        return wrong("probe", f"not sent: {error}", "see the lines above")
    finally:
        await asyncio.to_thread(store.close)


async def _probed(settings: Settings, store: Store, seconds: float) -> Finding:
    office = service.office(settings, Templates(settings.replies.templates_dir), store)
    message_id, began = office.new_message_id(), utc_now()
    out = service.relay(settings)
    try:
        sent = await out.send(probe.mail(office, message_id, began))
    finally:
        await out.close()
    if not sent.ok:
        do = "the relay's log says why; replies wait meanwhile: gateway outbox list --state queued"
        return wrong("probe", f"the relay did not take it: {sent.detail}", do)
    try:
        async with asyncio.timeout(seconds):
            # a table tells nobody: it is asked again and again
            while await store.read(partial(probe.arrived, message_id=message_id)) is None:  # noqa: ASYNC110
                await asyncio.sleep(LOOK_S)
    except TimeoutError:
        what = f"the relay took it ({sent.detail}), and it has not come to us within {seconds:.0f} s"
        do = (
            f"look for it in the relay's log and queue: does it deliver {office.address} to this gateway "
            "(transport_maps)?"
        )
        return wrong("probe", what, do)
    took = (utc_now() - began).total_seconds()
    await store.write(partial(probe.forget, message_ids=[message_id]))
    return ok("probe", f"a mail from us to us came by the relay in {took:.1f} s")
