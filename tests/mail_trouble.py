"""Everyday mails of people about mail itself, and mails of machines in the forms that mail programs give them. Written for these tests.

People: (language, subject, text). Most look like a bounce or an automatic reply to a reader of words.
"""

from __future__ import annotations

from base64 import encodebytes

PEOPLE: list[tuple[str, str, str]] = [
    ("en", "Undelivered mails from our server", "Hello,\n\nsince this morning all mails from our server to Gmail come back with\n550 5.7.1 Our system has detected that this message is likely unsolicited mail.\n\nThis is an emergency, our shop cannot send order confirmations. Please help.\n\nAnna"),
    ("en", "Autoresponder does not work", "Hi, the autoresponder of info@shop.example does not send anything any more. Can you have a look?"),
    ("en", "Absence of reverse DNS", "Dear support,\n\nYahoo tells us that there is no reverse DNS for our address. Please set it to mail.shop.example."),
    ("en", "Mail delivery failed: returning message to sender", "Hi there,\n\nour customers get this when they write to us, why? The mailbox exists and is not full.\n\n  info@shop.example\n    550 5.1.1 user unknown\n\nThanks, Tom"),
    ("en", "Returned mail: see transcript for details", "I get this for every message I send since Friday. What is wrong with my account?\n\n   ----- The following addresses had permanent fatal errors -----\n<bob@elsewhere.example>\n    (reason: 550 5.7.1 relaying denied)\n"),
    ("en", "Undeliverable", "My messages to one of our clients never arrive. The other side says our IP is on a blacklist, can you delist it?"),
    ("en", "Failure notice", "We see a lot of failure notices in our mailbox although nobody here sent anything. Is our account hacked?"),
    ("en", "Delivery Status Notification (Failure)", "Good morning,\n\nthis keeps coming when I write to my brother. I need to reach him today.\n\nGreetings, Carol"),
    ("en", "Out of office", "Hello, how do I set up an out of office message in your webmail? I am on vacation from next Monday."),
    ("en", "Out of office reply is sent twice", "When I switch on the holiday message people receive it two times. Please look into it."),
    ("en", "Vacation message", "Hi, the vacation message still goes out although I am back since last week, how can I stop it?"),
    ("en", "Automatic reply to customers", "Hello, we want every mail to sales@ to be answered automatically. Can your mail server do that, and what does it cost?"),
    ("en", "Auto: renewal of domain", "Hello, please switch off the automatic renewal of shop.example."),
    ("en", "Bounces from our newsletter", "We sent 4,000 newsletters yesterday and 900 of them bounced with 421 4.7.0 try again later. Is there a limit on our VPS?"),
    ("en", "Mail system error", "The mail system shows an error when I log in: mailbox full. But I deleted everything. Please check."),
    ("en", "Rejected: all mails to t-online", "Our mails to t-online.de are rejected:\n\n554 IP=203.0.113.7 - A problem occurred. Ask your postmaster for help or to contact tosa@rx.t-online.de to clarify.\n\nWhat should we do?"),
    ("en", "spam", "Hello, we get 200 spam mails a day with our own address as sender. How do we stop that?"),
    ("en", "Mailing list for our club", "Do you offer mailing lists? We need one with about 150 members, and bounces should be removed by themselves."),
    ("en", "Your message could not be delivered", "That is what your form says when I try to open a ticket from the client area. So I write by mail: order #234567 is not active yet."),
    ("en", "Problems sending mail", "sending from Outlook gives 554 5.7.1 <tom@shop.example>: Relay access denied. It worked yesterday and I did not change anything."),
    ("en", "Postmaster address", "Hello, who reads postmaster@ of our domain? RFC 2142 says it must exist. Mails to it come back: mailbox not found."),
    ("en", "Delayed mail", "Messages from our partner arrive with two hours delay. Their log says: delivery temporarily suspended, connection timed out. Is the server overloaded?"),
    ("en", "quota exceeded", "My mailbox says quota exceeded, can I buy more space?"),
    ("en", "Re: Delivery failed", "Thanks, I tried that and it still says user unknown. Any other idea?"),
    ("en", "no answer", "I have received an automatic reply three days ago, \"we have received your request\", and nothing since then. When does a person read it?"),
    ("de", "Unzustellbar", "Guten Tag,\n\nunsere Mails an GMX kommen seit gestern zurück mit 554 Transaction failed, Reject due to policy restrictions. Was können wir tun?\n\nMit freundlichen Grüßen\nPeter Huber"),
    ("de", "Mails nicht zugestellt", "Hallo, seit heute Morgen werden unsere Nachrichten an Microsoft nicht zugestellt: 550 5.7.1 Unfortunately, messages from [203.0.113.7] weren't sent. Bitte um Hilfe, es eilt!"),
    ("de", "Abwesenheitsnotiz einrichten", "Guten Morgen, wie stelle ich im Webmail eine Abwesenheitsnotiz ein? Ich bin ab Montag im Urlaub."),
    ("de", "Abwesenheitsassistent", "Der Abwesenheitsassistent schickt immer noch \"Ich bin bis 3. Januar nicht im Büro\", obwohl er aus ist. Bitte abschalten."),
    ("de", "Automatische Antwort geht nicht raus", "Hallo, die automatische Antwort für info@ wird nicht mehr verschickt. Könnten Sie das bitte prüfen?"),
    ("de", "Nicht im Büro", "Ich bin ab morgen nicht im Büro. Bitte starten Sie den Server vorher noch einmal neu, Bestellung #234567. Können Sie das bis 18 Uhr erledigen?"),
    ("de", "Fehler bei der Zustellung", "Unser Kunde bekommt diese Meldung, wenn er uns schreibt:\n\n<info@shop.example>: host mx.shop.example[203.0.113.7] said: 450 4.7.1 Client host rejected: cannot find your reverse hostname\n\nBitte den PTR-Eintrag prüfen."),
    ("de", "Rückläufer vom Newsletter", "Nach dem Versand hatten wir 300 Rückläufer (user unknown). Gibt es ein Werkzeug, das die Adressen austrägt?"),
    ("de", "Undelivered Mail Returned to Sender", "Sehr geehrte Damen und Herren,\n\nanbei ein Beispiel. So etwas kommt bei uns im Minutentakt an, wir haben diese Mails aber nie verschickt.\n\nThis is the mail system at host mx.example.\n\nI'm sorry to have to inform you that your message could not be delivered.\n\n<x@y.example>: unknown user"),
    ("fr", "Échec de la remise de nos messages", "Bonjour,\n\nnos messages vers Orange sont refusés depuis hier : 550 5.2.0 Service refusé. Pourriez-vous vérifier l'adresse IP de notre serveur ?\n\nMerci"),
    ("fr", "Message d'absence", "Bonjour, je n'arrive pas à activer le message d'absence dans le webmail. Comment faire ?"),
    ("fr", "Absence de réponse", "Bonjour, notre site ne répond plus depuis ce matin et personne ne nous rappelle."),
    ("fr", "Réponse automatique", "Bonjour, la réponse automatique de contact@ ne part plus. Merci de vérifier."),
    ("fr", "Mail delivery failed", "Bonjour, je reçois ce message à chaque envoi :\n\nThis message was created automatically by mail delivery software.\nA message that you sent could not be delivered to one or more of its recipients.\n\nQue dois-je faire ?"),
    ("fr", "Non distribué", "Tous nos courriels à ce client reviennent avec « utilisateur inconnu » alors que l'adresse est bonne."),
    ("es", "Correos devueltos", "Hola, los correos que enviamos desde nuestro servidor son devueltos con 550 5.7.26 unauthenticated sender. ¿Cómo se configura DKIM?"),
    ("es", "Respuesta automática no funciona", "Buenos días, la respuesta automática de ventas@ no funciona desde el lunes. ¿Pueden revisarlo?"),
    ("es", "Fuera de la oficina", "Hola, estaré de vacaciones dos semanas. ¿Cómo activo el mensaje de fuera de la oficina?"),
    ("es", "Error de entrega", "Me sale un error de entrega al escribir a un cliente:\n\n<cliente@correo.example>: 452 4.2.2 mailbox full\n\n¿Es problema nuestro?"),
    ("it", "Mancata consegna", "Buongiorno, da ieri le nostre email verso Libero non arrivano: 550 smtp auth required. Potete verificare?"),
    ("it", "Risposta automatica", "Salve, la risposta automatica non viene inviata. Potete controllare la casella info@?"),
    ("it", "Fuori ufficio", "Buongiorno, come si disattiva il messaggio fuori ufficio? Continua a partire anche se sono rientrato."),
    ("it", "Messaggio non recapitato", "Abbiamo ricevuto centinaia di avvisi di mancato recapito per messaggi mai inviati da noi. Qualcuno usa il nostro dominio?"),
    ("ru", "Письма не доставлены", "Здравствуйте!\n\nС утра письма с нашего сервера на mail.ru не доставлены: 550 spam message rejected. Это срочно, помогите, пожалуйста."),
    ("ru", "Автоответчик не работает", "Добрый день, автоответчик на ящике info@ не работает со вчерашнего дня. Проверьте, пожалуйста."),
    ("ru", "Автоответ", "Подскажите, как включить автоответ на время отпуска?"),
    ("ru", "Недоставленное сообщение", "Почему нам приходит это сообщение, если мы ничего не отправляли?\n\nThis message was created automatically by mail delivery software.\n  user@yandex.example\n    550 5.7.1 No such user!"),
    ("ru", "Отсутствует обратная зона", "У нас для 203.0.113.7 отсутствует PTR, из-за этого почта отклоняется. Пропишите mail.shop.example."),
    ("uk", "Листи не доставлено", "Доброго дня! Наші листи на Gmail повертаються з помилкою 550-5.7.26. Допоможіть, будь ласка, це терміново."),
    ("uk", "Автовідповідач", "Вітаю, автовідповідач надсилає старий текст. Як його виправити?"),
    ("uk", "Помилка доставки", "Клієнт отримує помилку доставки, коли пише нам: mailbox unavailable. Перевірте скриньку office@shop.example."),
    ("pl", "Niedostarczone wiadomości", "Dzień dobry, nasze wiadomości do onet.pl wracają z błędem 554 5.7.1. Proszę o pomoc, sprawa jest pilna."),
    ("pl", "Autoresponder", "Witam, autoresponder nie działa na skrzynce biuro@. Czy możecie sprawdzić?"),
    ("pl", "Poza biurem", "Dzień dobry, jak ustawić wiadomość „poza biurem” w panelu? Będę na urlopie od piątku."),
    ("pl", "Zwrot poczty", "Od wczoraj dostajemy zwroty: user unknown. Adres odbiorcy jest poprawny. Co możemy zrobić?"),
    ("pl", "Błąd dostarczenia", "Proszę o sprawdzenie serwera poczty, klient dostaje 451 4.3.0 temporary failure."),
    ("nl", "Onbestelbaar", "Goedendag, onze mails naar KPN komen terug met 554 5.7.1. Kunnen jullie helpen?"),
    ("pt", "Falha na entrega", "Bom dia, os nossos emails para o Sapo não chegam: 550 5.1.8. Podem verificar?"),
    ("en", "Undeliverable: Invoice 2026-118", "Hi, I sent our invoice to you and it came back:\n\nYour message to billing@introserv.com couldn't be delivered.\nRemote Server returned '550 5.1.10 RESOLVER.ADR.RecipientNotFound'\n\nWhat is the right address?"),
    ("en", "mailer-daemon", "Every minute I get a mail from mailer-daemon, about 5,000 by now. My mailbox is nearly full, please do something!"),
    ("de", "Mailer Daemon", "Ich bekomme ständig Mails vom Mailer-Daemon, obwohl ich nichts verschicke. Wurde mein Passwort gestohlen?"),
    ("en", "List-Unsubscribe", "Gmail wants a List-Unsubscribe header in our newsletter. Does your mail platform add one?"),
    ("en", "DMARC report", "Hello, we got a report from google.com, 34 % of our mails fail. Could you look at the SPF record of shop.example?"),
    ("en", "Abuse report", "This address sends us spam: 198.51.100.20. Please stop it. Headers are below.\n\nReceived: from x (198.51.100.20) by mx.y.example\nFrom: win@big.example\nSubject: prize\nTo: me@y.example"),
]  # fmt: skip

_ORIGINAL = (
    "Received: from mx.shop.example by relay.example; Sun, 22 Nov 2026 17:00:00 +0000\nMessage-ID: <a1@shop.example>\n"
    "From: Shop <ops@shop.example>\nTo: nobody@far.example\nSubject: Offer\n\nHello, an offer.\n"
)
_REPORT = (
    "Reporting-MTA: dns; relay.example\n\nFinal-Recipient: rfc822; nobody@far.example\nAction: failed\nStatus: 5.1.1\n"
    "Diagnostic-Code: smtp; 550 5.1.1 user unknown\n"
)


def parts(kind: str, *content: tuple[str, str]) -> tuple[str, str]:
    """(Content-Type, body) of a multipart."""
    body = "".join(f"--bb\nContent-Type: {inner}\n\n{text}\n" for inner, text in content)
    return f'{kind}; boundary="bb"', f"{body}--bb--\n"


_INNER_TYPE, _INNER = parts("multipart/report; report-type=delivery-status", ("text/plain", "Sorry, your message could not be delivered."),
                            ("message/delivery-status", _REPORT), ("text/rfc822-headers", _ORIGINAL))  # fmt: skip
_BOUNCE = (
    f"From: MAILER-DAEMON@relay.example\nTo: ops@shop.example\nSubject: Undelivered Mail Returned to Sender\nMIME-Version: 1.0\n"
    f"Content-Type: {_INNER_TYPE}\n\n{_INNER}"
)
#: people who pass a bounce on: (what it is, subject, Content-Type, body)
PASSED_ON: list[tuple[str, str, str, str]] = [
    ("attached", "Undelivered Mail Returned to Sender", *parts("multipart/mixed", ("text/plain", "Hello, we get this since yesterday, why?"), ("message/rfc822", _BOUNCE))),
    ("attached without words", "Fwd: Undelivered Mail Returned to Sender", *parts("multipart/mixed", ("message/rfc822", _BOUNCE))),
    ("taken apart by the mail program", "Fwd: Undelivered Mail Returned to Sender", *parts("multipart/mixed", ("text/plain", "Please look at this.\n\n-------- Forwarded Message --------\nSubject: Undelivered Mail Returned to Sender\nFrom: MAILER-DAEMON@relay.example\n\nSorry, your message could not be delivered."), ("message/delivery-status", _REPORT), ("message/rfc822", _ORIGINAL))),
    ("pasted below", "Mail failure", "text/plain", f"Hi, what does this mean?\n\nThis is the mail system at host relay.example.\n\nI'm sorry to have to inform you that your message could not be delivered.\n\n<nobody@far.example>: host mx.far.example said: 550 5.1.1 user unknown\n\n{_REPORT}"),
    ("pasted and quoted", "Delivery failed", "text/plain", "> This message was created automatically by mail delivery software.\n>\n> nobody@far.example\n>   550 5.1.1 user unknown\n\nCan you tell me what is wrong with my mailbox?"),
    ("passed on as it is", "WG: Unzustellbar: Angebot", "text/plain", "\n-----Ursprüngliche Nachricht-----\nVon: postmaster@relay.example\nBetreff: Unzustellbar: Angebot\n\nIhre Nachricht hat einige oder alle Empfänger nicht erreicht.\n\nnobody@far.example\n  550 5.1.1 user unknown"),
    ("passed on in French", "TR: Non remis : Offre", "text/plain", "Voir ci-dessous.\n\nDe : postmaster@relay.example\nObjet : Non remis : Offre\n\nVotre message n'a pas pu être remis.\n550 5.1.1 utilisateur inconnu"),
    ("a notice of absence below", "Re: Automatic reply: Invoice", "text/plain", "Your colleague seems to be away. Who can help me instead?\n\n> I am out of the office until Monday."),
    ("a DMARC report", "Fwd: Report domain: shop.example Submitter: google.com Report-ID: 12", *parts("multipart/mixed", ("text/plain", "Hello, what does this report tell us?"), ('application/zip; name="google.com!shop.example!1795000000!1795086399.zip"', "UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA=="))),
]  # fmt: skip

#: machines: (what, expected class, envelope sender, header fields, Content-Type, body)
MACHINES: list[tuple[str, str, str, dict[str, str], str, str]] = [
    ("an RFC 3464 report", "bounce", "", {"From": "MAILER-DAEMON@relay.example", "Subject": "Undelivered Mail Returned to Sender"}, _INNER_TYPE, _INNER),
    ("a report of nobody in particular", "bounce", "x@relay.example", {"From": "x@relay.example", "Subject": "hello"}, _INNER_TYPE, _INNER),
    ("Postfix without a report", "bounce", "x@relay.example", {"From": "MAILER-DAEMON@relay.example (Mail Delivery System)", "Subject": "Undelivered Mail Returned to Sender"}, "text/plain", "This is the Postfix program at host relay.example.\n\nI'm sorry to have to inform you that the message returned\nbelow could not be delivered to one or more destinations.\n\n<nobody@far.example>: host not found\n"),
    ("Postfix telling its postmaster", "bounce", "", {"From": "Mail Delivery System <MAILER-DAEMON@relay.example>", "Subject": "Postfix SMTP server: errors from x[192.0.2.1]"}, "text/plain", "Transcript of session follows.\n\n Out: 220 relay.example ESMTP\n In:  EHLO x\n Out: 502 5.5.2 Error\n"),
    ("sendmail", "bounce", "", {"From": "Mail Delivery Subsystem <MAILER-DAEMON@relay.example>", "Subject": "Returned mail: see transcript for details", "Auto-Submitted": "auto-generated (failure)"}, "text/plain", "The original message was received at Sun, 22 Nov 2026 17:00:00 GMT\n\n   ----- Transcript of session follows -----\n550 5.1.1 <nobody@far.example>... User unknown\n"),
    ("sendmail warning", "bounce", "", {"From": "Mail Delivery Subsystem <MAILER-DAEMON@relay.example>", "Subject": "Warning: could not send message for past 4 hours"}, "text/plain", "    **********************************************\n    **      THIS IS A WARNING MESSAGE ONLY      **\n\n<nobody@far.example>... Deferred: Connection timed out\n"),
    ("an old sendmail", "bounce", "MAILER-DAEMON", {"From": "Mail Delivery Subsystem", "Subject": "Returned mail: User unknown"}, "text/plain", "   ----- Transcript of session follows -----\n>>> RCPT To:<nobody@far.example>\n<<< 550 unknown\n\n   ----- Unsent message follows -----\n" + _ORIGINAL),
    ("qmail", "bounce", "", {"From": "MAILER-DAEMON@relay.example", "Subject": "failure notice"}, "text/plain", "Hi. This is the qmail-send program at relay.example.\nI'm afraid I wasn't able to deliver your message to the following addresses.\n\n<nobody@far.example>:\nSorry, no mailbox here by that name.\n"),
    ("Exim", "bounce", "x@relay.example", {"From": "Mail Delivery System <Mailer-Daemon@relay.example>", "Subject": "Mail delivery failed: returning message to sender", "X-Failed-Recipients": "nobody@far.example"}, "text/plain", "This message was created automatically by mail delivery software.\n\n  nobody@far.example\n    550 unknown\n"),
    ("Amazon SES", "bounce", "x@amazonses.example", {"From": "MAILER-DAEMON@email-bounces.amazonses.example", "Subject": "Delivery Status Notification (Failure)"}, "text/plain", "The following message to <nobody@far.example> was undeliverable.\nThe reason for the problem:\n5.1.0 - Unknown address error 550-'user unknown'\n"),
    ("Amazon SES in words", "bounce", "x@amazonses.example", {"From": "no-reply@amazonses.example", "Subject": "Delivery Status Notification (Failure)"}, "text/plain", "An error occurred while trying to deliver the mail to the following recipients:\nnobody@far.example\n"),
    ("Amazon SES by SNS", "bounce", "x@amazonses.example", {"From": "AWS Notifications <no-reply@sns.amazonaws.example>", "Subject": "AWS Notification Message", "x-amz-sns-message-id": "12-34"}, "text/plain", '{"notificationType":"Bounce","bounce":{"bounceType":"Permanent","bouncedRecipients":[{"emailAddress":"nobody@far.example"}]}}\n'),
    ("Apache James", "bounce", "postmaster@relay.example", {"From": "postmaster@relay.example", "Subject": "[BOUNCE]", "Message-ID": "<12.JavaMail.root@relay.example>"}, "text/plain", "Hi. This is the James mail server at relay.example.\nI'm afraid I wasn't able to deliver your message to the following addresses.\nError message below:\n550 - Requested action not taken: no such user here\n\nMessage details:\n  Subject: Offer\n  MAIL FROM: ops@shop.example\n  RCPT TO: nobody@far.example\n"),
    ("Apache James, another way", "bounce", "notifier@relay.example", {"From": "postmaster@relay.example", "Subject": "Re:Offer"}, "text/plain", "The attached mail could not be processed.\n\nError message below:\n550 - no such user here\n\nMessage details:\n  Subject: Offer\n  MAIL FROM: ops@shop.example\n  RCPT TO: nobody@far.example\n"),
    ("fml", "bounce", "list-admin@relay.example", {"From": "list-admin@relay.example", "Subject": "NOT MEMBER article from ops@shop.example (list ML)", "X-MLServer": "fml [4.0]"}, "text/plain", "You are not a member of this mailing list <ops@shop.example>.\n\nOriginal mail as follows:\n\n" + _ORIGINAL),
    ("fml without its field", "bounce", "list-admin@relay.example", {"From": "list-admin@relay.example", "Subject": "fml system error message"}, "text/plain", "Duplicated Message-ID in <list@relay.example>. Original mail as follows:\n\n" + _ORIGINAL),
    ("KDDI", "bounce", "x@dion.example", {"From": "no-reply@x.dion.example", "Subject": "Mail System Error - Returned Mail"}, "text/plain", "Your mail sent on: Sun, 22 Nov 2026 17:00:00 +0900\n    Could not be delivered to: <nobody@far.example>\n    As their mailbox is full.\n"),
    ("EZweb", "bounce", "Postmaster@ezweb.example", {"From": "Postmaster@ezweb.example", "Subject": "Mail System Error - Returned Mail"}, "text/plain", "The user(s) account is temporarily over quota.\n\n<nobody@far.example>: 552 over quota\n"),
    ("Verizon text", "bounce", "post_master@vtext.example", {"From": "post_master@vtext.example", "Subject": "Undeliverable Message"}, "text/plain", "Error: 550 - Requested action not taken: no such user here\n\nMessage details:\n  Subject: Test\n  MAIL FROM: ops@shop.example\n  RCPT TO: 5551234@vtext.example\n"),
    ("Verizon pictures", "bounce", "sysadmin@pix.example", {"From": "sysadmin@pix.example", "Subject": "Undeliverable Message"}, "text/plain", "Message could not be delivered to mobile.\nError: No valid recipients for this MM\n\nOriginal Message:\nFrom: ops@shop.example\nTo: 5551234@pix.example\nSubject: test\n"),
    ("AOL", "bounce", "", {"From": '"Mail Delivery Subsystem" <MAILER-DAEMON@aol.example>', "Subject": "Mail Delivery Problem"}, "text/plain", "Your mail is not being delivered to the following recipients, who have chosen to receive mail from some people only:\n\nscreenname\n"),
    ("Exchange", "bounce", "x@relay.example", {"From": "System Administrator <postmaster@relay.example>", "Subject": "Undeliverable: Offer"}, "text/plain", "Your message\n\n  To:      nobody@far.example\n  Subject: Offer\n  Sent:    Sun, 22 Nov 2026 17:00:00 +0000\n\ndid not reach the following recipient(s):\n\nnobody@far.example on Sun, 22 Nov 2026 17:00:03 +0000\n    The recipient name is not recognized\n"),
    ("Exchange in German", "bounce", "", {"From": "Microsoft Outlook <x329@relay.example>", "Subject": "Unzustellbar: Angebot"}, "text/plain", "Fehler bei der Nachrichtenzustellung an folgende Empfänger oder Gruppen:\n\nnobody@far.example\nDie eingegebene E-Mail-Adresse konnte nicht gefunden werden.\n"),
    ("Domino", "bounce", "", {"From": "Postmaster@relay.example", "Subject": "DELIVERY FAILURE: User nobody (nobody@far.example) not listed in Domino Directory"}, "text/plain", "Your message\n\n  Subject: Offer\n\nwas not delivered to:\n\n  nobody@far.example\n"),
    ("Notes", "bounce", "postmaster@relay.example", {"From": "postmaster@relay.example", "Subject": "Undeliverable message"}, "text/plain", "------- Failure Reasons  --------\n\nUser not listed in public Name & Address Book\nnobody@far.example\n\n------- Returned Message --------\n" + _ORIGINAL),
    ("MailMarshal", "bounce", "mailmarshal@relay.example", {"From": "postmaster@relay.example", "Subject": 'Undeliverable Mail: "Offer"'}, "text/plain", "Your message:\n   From:    ops@shop.example\n   Subject: Offer\nCould not be delivered because of\n\n550 5.1.1 user unknown\n\nThe following recipients were affected:\n   nobody@far.example\n"),
    ("Barracuda", "bounce", "", {"From": "Barracuda <postmaster@relay.example>", "Subject": "**Message you sent blocked by our bulk email filter**"}, "text/plain", "Your message to: nobody@far.example\nwas blocked by our Spam Firewall. The email you sent with the following subject has NOT BEEN DELIVERED:\n\nSubject: Offer\n"),
    ("InterScan", "bounce", "imss@relay.example", {"From": '"InterScan MSS" <imss@relay.example>', "Subject": "Mail could not be delivered"}, "text/plain", "****** Message from InterScan Messaging Security Suite ******\n\nSent <<< RCPT TO:<nobody@far.example>\nReceived >>> 550 unknown\n\nUnable to deliver message to <nobody@far.example>.\n"),
    ("Courier", "bounce", "", {"From": '"Courier mail server at relay.example" <postmaster@relay.example>', "Subject": "NOTICE: mail delivery status."}, "text/plain", "This is a delivery status notification from relay.example,\nrunning the Courier mail server.\n\n                           UNDELIVERABLE MAIL\n\n<nobody@far.example>:\n     550 unknown\n"),
    ("IMail", "bounce", "postmaster@relay.example", {"From": '"Postmaster" <postmaster@relay.example>', "Subject": "Undeliverable Mail", "X-Mailer": "<SMTP32 v8.22>"}, "text/plain", "Unknown user: nobody@far.example\n\nRCPT TO generated following response:\n550 unknown\n\nOriginal message follows.\n\n" + _ORIGINAL),
    ("Haraka", "bounce", "", {"From": "MAILER-DAEMON@relay.example", "Subject": "Message delivery failure notice"}, "text/plain", "Your message could not be delivered to the following recipients:\n\n<nobody@far.example>\n"),
    ("1&1", "bounce", "", {"From": '"Mail Delivery System" <mailer-daemon@kunden.example>', "Subject": "Mail delivery failed: returning message to sender"}, "text/plain", "This message was created automatically by mail delivery software.\n\nA message that you sent could not be delivered.\nFor the following reason:\n\n--- The header of the original message is following. ---\n\n" + _ORIGINAL),
    ("OpenSMTPD", "bounce", "", {"From": "Mailer Daemon <MAILER-DAEMON@relay.example>", "Subject": "Delivery status notification: error"}, "text/plain", "    Hi!\n\n    This is the MAILER-DAEMON, please DO NOT REPLY to this email.\n\nnobody@far.example: 550 unknown\n"),
    ("Mail.ru", "bounce", "", {"From": "Mail Delivery System <mailer-daemon@corp.mail.example>", "Subject": "Ваше сообщение не доставлено. Mail failure."}, "text/plain", "Это письмо создано автоматически сервером Mail.Ru, отвечать на него не нужно.\n\nК сожалению, Ваше письмо не может быть доставлено одному или нескольким получателям:\n\nnobody@far.example\n"),
    ("one in HTML only", "bounce", "", {"From": "MAILER-DAEMON@relay.example", "Subject": ""}, "text/html", "<html><body><p>Sorry, we were unable to deliver your message to the following address.</p><p>&lt;nobody@far.example&gt;</p></body></html>"),
    ("one in Japanese", "bounce", "", {"From": "postmaster@relay.example", "Subject": "=?utf-8?b?" + encodebytes("配信不能メール".encode()).decode().strip() + "?="}, "text/plain; charset=utf-8", "次の宛先に配信できませんでした。\n\nnobody@far.example\n"),
    ("a feedback report", "report", "fbl@isp.example", {"From": "fbl@isp.example", "Subject": "FW: Offer"}, *parts("multipart/report; report-type=feedback-report", ("text/plain", "This is an email abuse report"), ("message/feedback-report", "Feedback-Type: abuse\nUser-Agent: x/1\nVersion: 1\n"), ("message/rfc822", _ORIGINAL))),
    ("a feedback report without its type", "report", "fbl@isp.example", {"From": "fbl@isp.example", "Subject": "FW: Offer"}, *parts("multipart/report", ("text/plain", "This is an email abuse report"), ("message/feedback-report", "Feedback-Type: abuse\n"), ("message/rfc822", _ORIGINAL))),
    ("a complaint in Hotmail's form", "report", "staff@hotmail.example", {"From": "staff@hotmail.example", "Subject": "complaint about message from 192.0.2.1"}, *parts("multipart/mixed", ("message/rfc822", _ORIGINAL))),
    ("a complaint in words", "report", "abuse@isp.example", {"From": "abuse@isp.example", "Subject": "Abuse report for 192.0.2.1"}, "text/plain", "This is an email abuse report for an email message received from IP 192.0.2.1 on Sun, 22 Nov 2026 17:00:00 +0000.\n"),
    ("a DMARC report", "report", "noreply-dmarc-support@google.example", {"From": "noreply-dmarc-support@google.example", "Subject": "Report domain: shop.example Submitter: google.com Report-ID: 1234"}, *parts("multipart/mixed", ('application/zip; name="google.com!shop.example!1795000000!1795086399.zip"', "UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA=="))),
    ("a TLS report", "report", "tls@google.example", {"From": "tls@google.example", "Subject": "Report Domain: shop.example"}, *parts("multipart/report; report-type=tlsrpt", ("text/plain", "TLS report"), ("application/tlsrpt+gzip", "H4sI"))),
    ("a read receipt", "auto_reply", "bob@far.example", {"From": "bob@far.example", "Subject": "Read: Offer"}, *parts("multipart/report; report-type=disposition-notification", ("text/plain", "Read."), ("message/disposition-notification", "Disposition: manual-action/MDN-sent-manually; displayed\n"))),
    ("sieve vacation", "auto_reply", "", {"From": "bob@far.example", "Subject": "Auto: Your request", "Auto-Submitted": "auto-replied (vacation)"}, "text/plain", "I am away until Monday.\n"),
    ("Exchange, out of office", "auto_reply", "", {"From": "bob@far.example", "Subject": "Automatic reply: Your request", "Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All"}, "text/plain", "I am out of the office.\n"),
    ("an old responder", "auto_reply", "bob@far.example", {"From": "bob@far.example", "Subject": "Re: Your request", "X-Autoreply": "yes"}, "text/plain", "Thanks, I will read it.\n"),
    ("Precedence alone", "auto_reply", "bob@far.example", {"From": "bob@far.example", "Subject": "Re: Your request", "Precedence": "auto_reply"}, "text/plain", "Thanks, I will read it.\n"),
    ("only its words, English", "auto_reply", "bob@far.example", {"From": "bob@far.example", "Subject": "Automatic reply: Your request"}, "text/plain", "I am out of the office until 3 January with limited access to e-mail. In urgent cases please contact jane@far.example.\n"),
    ("behind [External]", "auto_reply", "bob@far.example", {"From": "bob@far.example", "Subject": "[External] Out of Office: Your request"}, "text/plain", "Thank you for your message. I am on annual leave and will return on Monday.\n"),
    ("behind EXT:", "auto_reply", "bob@far.example", {"From": "bob@far.example", "Subject": "EXT: Automatische Antwort: Ihre Anfrage"}, "text/plain", "Ich bin bis Montag nicht im Büro. Ihre E-Mail wird nicht weitergeleitet.\n"),
    ("German", "auto_reply", "bob@far.example", {"From": "bob@far.example", "Subject": "Abwesenheitsnotiz: Ihre Anfrage"}, "text/plain", "Guten Tag, ich bin vom 1. bis 12. Dezember im Urlaub. In dringenden Fällen wenden Sie sich bitte an meine Kollegin.\n"),
    ("French", "auto_reply", "bob@far.example", {"From": "bob@far.example", "Subject": "=?utf-8?q?R=C3=A9ponse_automatique?= : Votre demande"}, "text/plain; charset=utf-8", "Bonjour, je suis en congés jusqu'au 5 janvier. Pour toute urgence, merci de contacter mon collègue.\n"),
    ("Spanish", "auto_reply", "bob@far.example", {"From": "bob@far.example", "Subject": "=?utf-8?q?Respuesta_autom=C3=A1tica=3A?= Su consulta"}, "text/plain; charset=utf-8", "Estaré fuera de la oficina hasta el lunes. Responderé a mi regreso.\n"),
    ("Italian", "auto_reply", "bob@far.example", {"From": "bob@far.example", "Subject": "Risposta automatica: Sua richiesta"}, "text/plain", "Sono fuori ufficio fino al 6 gennaio. Per urgenze potete contattare la mia collega.\n"),
    ("Russian", "auto_reply", "bob@far.example", {"From": "bob@far.example", "Subject": "=?utf-8?b?" + encodebytes("Автоматический ответ: запрос".encode()).decode().replace("\n", "") + "?="}, "text/plain; charset=utf-8", "Я в отпуске до 10 января. По срочным вопросам обращайтесь к коллегам.\n"),
    ("Ukrainian", "auto_reply", "bob@far.example", {"From": "bob@far.example", "Subject": "=?utf-8?b?" + encodebytes("Автовідповідь: запит".encode()).decode().replace("\n", "") + "?="}, "text/plain; charset=utf-8", "Я у відпустці до понеділка.\n"),
    ("Polish", "auto_reply", "bob@far.example", {"From": "bob@far.example", "Subject": "=?utf-8?b?" + encodebytes("Odpowiedź automatyczna: zapytanie".encode()).decode().replace("\n", "") + "?="}, "text/plain; charset=utf-8", "Jestem na urlopie do 5 stycznia. W pilnych sprawach proszę o kontakt z biurem.\n"),
    ("another ticket system, by its words", "auto_reply", "help@far.example", {"From": "help@far.example", "Subject": "Re: Your request", "In-Reply-To": "<x@introserv.com>"}, "text/plain", "This is an automatic reply. We have received your message and will answer within two days.\n"),
    ("a list", "bulk", "users-bounces@lists.example", {"From": "ann@far.example", "Subject": "[users] hello", "List-Id": "<users.lists.example>"}, "text/plain", "Hello list, how much is a server?\n"),
    ("a newsletter", "bulk", "news@far.example", {"From": "news@far.example", "Subject": "Our offers", "Precedence": "bulk"}, "text/plain", "Buy now.\n"),
    ("nobody's envelope", "auto_reply", "", {"From": "bob@far.example", "Subject": "Hello"}, "text/plain", "Hello.\n"),
]  # fmt: skip
