"""An abuse notice is passed on to the customer whose address it names: by a person, with one command."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from gateway import log
from gateway.database.tables import Ticket, entries, facts
from gateway.model import Account, OutboxItem
from gateway.tickets import greeting, outgoing
from gateway.tickets.conversation import Change, Refused, at_work, changed
from gateway.tickets.outgoing import Acting, Reply

LONGEST = 8000  #: characters of the notice that are passed on


@dataclass(frozen=True, slots=True)
class Contact:
    """Who answers for an account: addresses of its role abuse, else of its owner."""

    account: Account
    addresses: tuple[str, ...]


def named(connection: Connection, ticket: int) -> dict[str, list[str]]:
    """What a ticket names, by kind: ips, services, orders."""
    f = facts.c
    rows = connection.execute(
        select(f.kind, f.value).where(f.ticket_id == ticket, f.kind.in_(["ips", "services", "orders"])).order_by(f.id)
    ).all()
    found: dict[str, list[str]] = {"ips": [], "services": [], "orders": []}
    for row in rows:
        if row.value not in found[row.kind]:
            found[row.kind].append(row.value)
    return found


def _words(connection: Connection, ticket: int) -> str:
    """The notice itself as a quotation, without addresses of mailboxes: who reported it is nobody's business but
    ours."""
    e = entries.c
    first = select(e.text).where(e.ticket_id == ticket, e.direction == "in").order_by(e.id).limit(1)
    notice = log.without_addresses(str(connection.execute(first).scalar() or ""))[:LONGEST]
    return "\n".join(f"> {line}".rstrip() for line in notice.strip().splitlines())


def tell(connection: Connection, reference: str, contact: Contact, about: str, acting: Acting) -> list[str]:
    """Writes the mails to the contacts of an account, once for each ticket; whom.

    Raises:
        NoTicket, Merged, NotAllowed: as ``people.answer``.
        Refused: nobody can be told, or all were.
    """
    row = at_work(connection, reference, acting.by, "answer")
    to = [address for address in contact.addresses if not acting.office.rules.owns(address)]
    if not to:
        raise Refused(f"the directory has no abuse contact and no owner of account {contact.account.account}")
    language = acting.office.rules.language(contact.account.language)
    notice = _Notice(contact.account, about, language, _words(connection, row.id))
    told = [address for address in to if outgoing.write(connection, notice.to(address, row), acting.office, acting.at)]
    if not told:
        raise Refused(f"the contacts of account {contact.account.account} were told already")
    words = f"told the abuse contact of account {contact.account.account}: {', '.join(told)}"
    changed(
        connection, row, Change("tell_abuse", words, detail={"account": contact.account.account}), acting.by, acting.at
    )
    return told


@dataclass(frozen=True, slots=True)
class _Notice:
    account: Account
    about: str
    language: str
    words: str

    def to(self, address: str, row: Ticket) -> Reply:
        """The mail to one contact."""
        context = {
            "reference": row.reference, "verified": True, "account": self.account.account,
            "account_name": greeting.greeted(self.account.name, ""), "about": self.about, "text": self.words,
            "subject": f"Abuse report {self.about}".strip(), "in_reply_to": None, "references": [],
        }  # fmt: skip
        event = f"abuse{row.id}.{self.account.account}"[:80]
        item = OutboxItem(event, "abuse_notice", self.language, address, "person", context, row.id)
        return Reply(item, reference=row.reference, urgent=True)
