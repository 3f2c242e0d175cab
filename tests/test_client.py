"""The client in the Received line of a trusted relay: read where its MTA writes it, and nowhere else."""

from __future__ import annotations

import pytest

from gateway.ingest.client import NO_CLIENT, received_client

#: the lines of each MTA, for a client at 203.0.113.9 that says of itself what it likes
LINES = {
    "Postfix": "from mx.a.example (mx.a.example [203.0.113.9]) by mx.b.example (Postfix) with ESMTP id 4",
    "Postfix, a literal": "from [192.0.2.1] (unknown [203.0.113.9]) by mx.b.example (Postfix) with ESMTP id 4",
    "Postfix, TLS": "from x (unknown [203.0.113.9]) (using TLSv1.3 with cipher AES (256/256 bits)) (Client did not present a certificate) "
    "by mx.b.example (Postfix) with ESMTPS id 4",
    "Postfix, logged in": "from [192.0.2.1] (unknown [203.0.113.9]) (Authenticated sender: ops) by mx.b.example (Postfix) with ESMTPA id 4",
    "Sendmail": "from [192.0.2.1] ([203.0.113.9]) by mx.b.example (8.17.1/8.17.1) with ESMTP id 4",
    "Sendmail, in doubt": "from a.example (b.example [203.0.113.9] (may be forged)) by mx.b.example (8.17.1) with ESMTP id 4",
    "Sendmail, IDENT": "from a.example (IDENT:root@b.example [203.0.113.9]) by mx.b.example (8.17.1) with ESMTP id 4",
    "Exim, with a name": "from b.example ([203.0.113.9] helo=[192.0.2.1]) by mx.b.example with esmtp (Exim 4.96) id 4",
    "Exim, the same name": "from b.example ([203.0.113.9]) by mx.b.example with esmtps (TLS1.3) (Exim 4.96) id 4",
    "Exim, a port": "from b.example ([203.0.113.9]:4711 helo=192.0.2.1 ident=x) by mx.b.example with esmtp (Exim 4.96) id 4",
    "Exim, no name": "from [203.0.113.9] (helo=[192.0.2.1]) by mx.b.example with esmtp (Exim 4.96) id 4",
    "Exim, no name, a port": "from [203.0.113.9] (port=4711 helo=192.0.2.1) by mx.b.example with esmtp (Exim 4.96) id 4",
    "Exim, nothing": "from [203.0.113.9] by mx.b.example with smtp (Exim 4.96) id 4",
    "Haraka": "from [192.0.2.1] (b.example [203.0.113.9]) by mx.b.example (Haraka/3.0.5) with ESMTPS id 4.1 envelope-from <a@b.example>",
    "OpenSMTPD": "from [192.0.2.1] (<unknown> [203.0.113.9]) by mx.b.example (OpenSMTPD) with ESMTPS id 4 (TLSv1.3:AES:256:NO)",
    "Exchange": "from [192.0.2.1] (203.0.113.9) by mx.b.example (10.0.0.4) with Microsoft SMTP Server (version=TLS1_2, cipher=X) id 15.2",
    "Google": "from mail.a.example (mail.a.example. [203.0.113.9]) by mx.google.com with ESMTPS id 4",
    "capitals": "FROM x (unknown [203.0.113.9]) BY mx.b.example (Postfix) with ESMTP id 4",
}
#: nobody's form, or that of an MTA which lets brackets and blanks into HELO: whoever reads an address here guesses
GUESSES = (
    "by mx.b.example for <a@b.example>", "from", "from x", "from [192.0.2.1] with nothing", "from x (y) by mx.b.example",
    "from a([192.0.2.1]) (unknown [203.0.113.9]) by mx.b.example", "from a ([192.0.2.1]) (unknown [203.0.113.9]) by mx.b.example",
    "from [192.0.2.1] (helo=x) (unknown [203.0.113.9]) by mx.b.example", "from [192.0.2.1] by x ([203.0.113.9]) by mx.b.example",
    "from x (192.0.2.1) by y (10.0.0.4) with Microsoft SMTP Server (unknown [203.0.113.9]) by mx.b.example",
    "from x (192.0.2.1) by y with SMTP", "from unknown (HELO x) (192.0.2.1) by mx.b.example with SMTP", "from x (y [999.0.2.1]) by mx.b.example",
    "from x (y [192.0.2.1) by mx.b.example", "from x (y z [192.0.2.1]) by mx.b.example", 'from "x" (y [192.0.2.1]]) by mx.b.example',
    "from x (y [192.0.2.1] [203.0.113.9]) by mx.b.example", "from x (y [IPv6:192.0.2.1:4]) by mx.b.example",
)  # fmt: skip


@pytest.mark.parametrize("mta", LINES)
@pytest.mark.parametrize("fold", [" ", "\r\n\t", "\r\n        "])
def test_the_address_that_the_mta_wrote(mta: str, fold: str) -> None:
    head = f"Return-Path: <a@b.example>\r\nReceived: {LINES[mta].replace(' by ', fold + 'by ')};{fold}x\r\n"
    assert received_client(f"{head}Received: from z (z [192.0.2.9]) by q\r\n\r\nhello".encode())[0] == "203.0.113.9"


@pytest.mark.parametrize("line", GUESSES)
def test_nothing_is_guessed(line: str) -> None:
    assert received_client(f"Received: {line}; x\r\nReceived: from z (z [192.0.2.9]) by q\r\n\r\n".encode())[0] is None


def test_what_the_client_said_of_itself_is_its_helo() -> None:
    assert received_client(f"Received: {LINES['Postfix, a literal']}\r\n\r\n".encode())[1] == "[192.0.2.1]"
    assert received_client(f"Received: {LINES['Exim, a port']}\r\n\r\n".encode())[1] == "192.0.2.1"
    assert received_client(b"Received: from a.example (a [IPv6:2001:db8::1]) by x; y\r\n\r\n")[0] == "2001:db8::1"


def test_the_reason_names_the_setting_and_fits_its_column() -> None:
    assert NO_CLIENT.startswith("client unknown")
    assert "XFORWARD" in NO_CLIENT and "lmtp_send_xforward_command" in NO_CLIENT
    assert len(NO_CLIENT) <= 200
