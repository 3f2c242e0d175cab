"""Ways in which people and programs write secrets down, and what looks like one and is none."""

from __future__ import annotations

import pytest

from gateway.read.author import author_of
from gateway.read.secrets import secrets
from gateway.read.unreadable import unreadable

#: the text, and what of it must not be left
SECRETS = [
    ("DB_PASSWORD=hunter2x", "hunter2x"), ("export MYSQL_PWD='a b c'", "a b c"), ("PGPASSWORD=topsecret psql -h db", "topsecret"),
    ("APP_KEY=base64:Zm9vYmFyYmF6", "base64:Zm9vYmFyYmF6"), ("db_pass: qwertz", "qwertz"), ("$db_pass = 'x!y';", "x!y"),
    ('{"user": "root", "password": "p4ss"}', "p4ss"), ('{"password":"a\\"b c"}', 'a\\"b c'), ("{'api_key': 'abc-def'}", "abc-def"),
    ("'password' => 'geheim',", "geheim"), ("define('DB_PASSWORD', 'wp secret');", "wp secret"), ("define( \"AUTH_KEY\", \"put 1 phrase\" );", "put 1 phrase"),
    ("spring.datasource.password=sommer", "sommer"), ("dbPassword: Winter", "Winter"), ("clientSecret = \"aBcDeF\"", "aBcDeF"),
    ("<password>letmein</password>", "letmein"), ("<smtp:Password type=\"x\">letmein</smtp:Password>", "letmein"),
    ("Server=db;Uid=sa;Pwd=Sommer;Database=x", "Sommer"), ("AccountKey=Zm9vYmFyYmF6cXV4==;EndpointSuffix=x", "Zm9vYmFyYmF6cXV4"),
    ("api_key=1234567890abcdef", "1234567890abcdef"), ("apikey: 0a1b2c3d4e", "0a1b2c3d4e"), ("X-Api-Key: 0a1b2c3d4e5f", "0a1b2c3d4e5f"),
    ("X-Auth-Token: aabbccddee", "aabbccddee"), ("Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"), ("authorization: bearer abc.def.ghi", "abc.def.ghi"),
    ("Proxy-Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"), ("-H 'Authorization: Token 0a1b2c3d4e5f'", "0a1b2c3d4e5f"), ("PRIVATE-TOKEN: gl0a1b2c3d", "gl0a1b2c3d"),
    ("Cookie: PHPSESSID=abc123def456; x=y", "abc123def456"), ("Set-Cookie: session=eyJhbGci", "eyJhbGci"),
    ("root:S3cr3t!", "S3cr3t!"), ("root:12345678", "12345678"), ("admin:Hunter22", "Hunter22"), ("root / geheim99", "geheim99"), ("root | geheim99", "geheim99"),
    ("ubuntu/Xy9!zzz", "Xy9!zzz"), ("postgres:pg!word", "pg!word"), ("ssh: root:Abc.123.def", "Abc.123.def"),
    ("curl -u admin:s3cret https://x.example/", "s3cret"), ("curl --user \"bob:my pass\" x", "my"), ("wget --http-user=bob --http-password=geheim x", "geheim"),
    ("mysql -u root -pGeheim db", "Geheim"), ("mysqldump -uroot -p'ge heim' db > x", "ge heim"), ("mariadb-dump --password=geheim db", "geheim"),
    ("sshpass -p geheim ssh root@x", "geheim"), ("sshpass -pgeheim ssh root@x", "geheim"), ("redis-cli -h x -a geheim ping", "geheim"),
    ("mongosh -u x -p geheim", "geheim"), ("ldapsearch -x -D cn=x -w geheim", "geheim"), ("ipmitool -H x -U ADMIN -P ADMIN1 power", "ADMIN1"),
    ("smbclient //x/y -U bob%geheim", "geheim"), ("docker login -u bob -p geheim reg", "geheim"), ("htpasswd -b .htpasswd bob geheim", "geheim"),
    ("echo 'root:geheim' | chpasswd", "geheim"), ("echo geheim | sudo -S ls", "geheim"), ("echo \"geheim\" | passwd --stdin root", "geheim"),
    ("net user admin Geheim /add", "Geheim"), ("cmdkey /add:x /user:y /pass:Geheim", "Geheim"), ("xfreerdp /u:x /p:Geheim /v:y", "Geheim"),
    ("openssl rsa -passin pass:geheim -in k", "geheim"), ("machine x login bob password geheim", "geheim"), ("db.example:5432:shop:bob:geheim", "geheim"),
    ("username bob password 7 0822455D0A16", "0822455D0A16"), ("enable secret 5 $1$abcd$0123456789abcdef", "$1$abcd$0123456789abcdef"),
    ("CREATE USER x IDENTIFIED BY 'geheim';", "geheim"), ("ALTER USER x WITH PASSWORD 'geheim';", "geheim"), ("SET PASSWORD = 'geheim';", "geheim"),
    ("root:$6$abcdefgh$0123456789abcdefghijklmn:19000:0", "0123456789abcdefghijklmn"), ("bob:$apr1$abcdefgh$0123456789abc", "0123456789abc"),
    ("$2y$10$abcdefghijklmnopqrstuv", "abcdefghijklmnopqrstuv"), ("userPassword: {SSHA}AbCdEfGh0123", "AbCdEfGh0123"),
    ("https://x.example/login?user=a&password=geheim&x=1", "geheim"), ("https://x.example/?token=0a1b2c3d", "0a1b2c3d"), ("https://x.example/?api_key=0a1b2c3d", "0a1b2c3d"),
    ("redis://:geheim@x.example:6379/0", "geheim"), ("postgresql://bob:geheim@db/shop", "geheim"), ("ftp://bob:geheim@x.example", "geheim"),
    ("otpauth://totp/x?secret=JBSWY3DPEHPK3PXP&issuer=y", "JBSWY3DPEHPK3PXP"), ("kubectl --token=abcdef get pods", "abcdef"), ("--password geheim", "geheim"),
    ("AIzaSyA0123456789abcdefghijklmnopqrstuv", "AIzaSyA0123456789abcdefghijklmnopqrstuv"), ("ya29.a0AfH6SMBabcdefghijklmnop", "a0AfH6SMBabcdefghijklmnop"),
    ("https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXX", "XXXXXXXXXXXXXXXX"), ("shpat_0123456789abcdef0123456789abcdef", "0123456789abcdef0123"),
    ("123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw", "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"), ("key-0123456789abcdef0123456789abcdef", "0123456789abcdef"),
    ("sk-ant-api03-abcdefghijklmnop", "abcdefghijklmnop"), ("hvs.CAESIJ0123456789abcdefgh", "CAESIJ0123456789"), ("ghr_0123456789abcdefghij", "0123456789abcdefghij"),
    ("AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ", "QQQQQQQQQQ"), ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "wJalrXUtnFEMI"),
    ("[Interface]\nPrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\nAddress = 10.0.0.2/32", "yAnz5TF"), ("PresharedKey = FpCyhws9cxwWoV4xELtfJvjJN+zQVRPISllRWgeopVE=", "FpCyhws9"),
    ("my wireguard key yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk= ok", "yAnz5TF"),
    ("-----BEGIN OpenVPN Static key V1-----\nabc\n-----END OpenVPN Static key V1-----", "abc"), ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nabcdef", "abcdef"),
    ("Private-Lines: 2\nAAAAabcd\nBBBBefgh\nPrivate-MAC: x", "BBBBefgh"), ("-----BEGIN PGP PRIVATE KEY BLOCK-----\nabc\n-----END PGP PRIVATE KEY BLOCK-----", "abc"),
    ("EPP code: aB3$xyz9", "aB3$xyz9"), ("The auth code is Xy7-abc9!", "Xy7-abc9!"), ("AuthInfo: 9f8e7d6c", "9f8e7d6c"), ("Transfer code for shop.example: 8sHjk2!q", "8sHjk2!q"),
    ("код переноса: aB3xyz99", "aB3xyz99"), ("Auth-Code aB3xyz99", "aB3xyz99"), ("codice di trasferimento: aB3xyz99", "aB3xyz99"), ("code d'autorisation : aB3xyz99", "aB3xyz99"),
    ("CVV 123", "123"), ("cvc: 1234", "1234"), ("Kartenprüfnummer 987", "987"), ("cryptogramme : 987", "987"), ("CVV2 is 123", "123"),
    ("OTP 482913", "482913"), ("The verification code is 482913", "482913"), ("SMS code: 482 913", "482 913"), ("Einmalcode 482913", "482913"), ("код подтверждения: 482913", "482913"),
    ("код из SMS 4829", "4829"), ("2FA code: 482913", "482913"), ("codice di verifica 482913", "482913"), ("code de vérification : 482913", "482913"), ("código de verificación 482913", "482913"),
    ("backup code ABCD-1234", "ABCD-1234"), ("mein Sicherheitscode ist 4711", "4711"), ("PIN 4711", "4711"), ("pin: 4711", "4711"), ("password 48151623", "48151623"),
    ("пароль 123456", "123456"), ("mot de passe : 12345678", "12345678"), ("Passwort: 12345678", "12345678"), ("hasło 87654321", "87654321"),
    ("4111 1111 1111 1111", "1111 1111"), ("4111\xa01111\xa01111\xa01111", "1111\xa01111"), ("4111\u202f1111\u202f1111\u202f1111", "1111"), ("4111.1111.1111.1111", "1111.1111"),
    ("4111\u20111111\u20111111\u20111111", "1111"), ("4111  1111  1111  1111", "1111"), ("4111/1111/1111/1111", "1111"), ("3782 822463 10005", "822463"),
    ("seed phrase: abandon ability able about above absent absorb abstract absurd abuse access accident", "absorb abstract"),
    ("Password (root): hunter2", "hunter2"), ("Passwort [SSH] = Sommer24", "Sommer24"), ("Password for the panel - Sommer24!", "Sommer24!"), ("pw Sommer!24", "Sommer!24"),
    ("Login: root\nPassword: Sommer24", "Sommer24"), ("user bob password hunter2x", "hunter2x"), ("pass = a", "= a"),
    ("Winter24x! is our root password", "Winter24x"), ("please set it to Qw4rTz77 as the new password", "Qw4rTz77"), ("Qw4rTz77 (ssh password)", "Qw4rTz77"),
    ("Qw4rTz77 — пароль", "Qw4rTz77"), ("пароль от базы Qw4rTz77", "Qw4rTz77"), ("password for the vps Qw4r!z", "Qw4r!z"), ("Datenbankpasswort geheim7", "geheim7"),
    ("Beheerderswachtwoord: geheim7", "geheim7"), ("Passphrase: green horses run", "horses run"), ("iDRAC root Qw4rTz77", "Qw4rTz77"), ("Zugangsdaten: admin Qw4rTz77", "Qw4rTz77"),
    ("WLAN key Qw4rTz77", "Qw4rTz77"), ("root access: Qw4rTz77", "Qw4rTz77"), ("passwd deploy geheim7x", "geheim7x"), ("ssh bob@x.example -p geheim7x", "geheim7x"),
    ("Backup codes: 1a2b-3c4d 5e6f-7a8b\n9c0d-1e2f", "9c0d-1e2f"), ("the code which you sent is 771204", "771204"), ("PUK 77120433", "77120433"),
    ("Kennwort\n\ngeheim7x", "geheim7x"), ("User | Password | Host\nbob | geheim | x.example\neve | Schnee | y.example", "Schnee"),
    ("login\tpass\nbob\tgeheim", "geheim"),
]  # fmt: skip

NONE = [
    "I forgot my password, please reset it.", "Please reset the password for order 123456", "reset password 123456", "The password has been changed on Monday.",
    "compass = north", "bypass: the tunnel", "Trespassing: forbidden", "My passport number", "token expired", "Error: invalid token", "password: required", "password=***",
    "Permission denied (publickey,password).", "Failed password for root from 203.0.113.7 port 22 ssh2", "Failed password for invalid user admin from 203.0.113.7",
    "authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.7 user=root", "root:x:0:0:root:/root:/bin/bash", "chown root:root /var/www", "chown www-data:www-data x",
    "ssh root@203.0.113.7", "root@server:~# ls -la", "sort -u a:b", "tar -p x", "mysql -u root -p shop", "mysql -u root -p", "docker run -p 8080:80 nginx", "ssh -p 2222 root@x.example",
    "https://x.example/path?id=123456&page=2", "http://203.0.113.7:8080/", "Time: 12:30:45", "user: bob", "admin: please help me", "user / group", "root/admin access is not needed",
    "Order #123456 and 203.0.113.7", "order code 123456", "postal code 20121", "error code 502", "HTTP code: 404", "exit code 137", "The status code is 5001", "código postal 28013",
    "promo code SUMMER24", "discount code: SAVE2026", "SWIFT code DEUTDEFF500", "2001:db8::1", "phone 0049301234567890", "4111 1111 1111 1112", "uptime 4111",
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ user@host", "PublicKey = HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=\nin wireguard",
    "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "Message-ID: <token@mail.example>", "DKIM-Signature: b=abcdef", "I echo that | you know",
    "net user", "it costs $5 or $10$ maybe", "key: see below", "The key is under the mat", "access key", "secret: none", "the secret is patience",
    "Please send me the auth code for shop.example", "Wie lautet der Auth-Code?", "I did not get the verification code", "SMS code does not arrive", "2FA does not work since 12:30",
    "the pin of the plug", "clave de la avería", "Clave: no funciona", "task-force", "skip-level", "sk-", "root cause: unknown", "test: 203.0.113.7", "guest: anna@example.de",
    "user 12345 cannot log in", "ftp: connection refused", "oracle / mysql", "postgres: the database system is starting up", "admin / owner",
    "Mon code postal est 75011", "Il mio codice cliente è 445566", "the error code that I get is 10060", "the password for srv01 is lost", "reset the password for r1z7og44",
    "SSH vps-4711 is dead", "root access to web13.example.com", "IPMI 203.0.113.7 does not answer", "VNC of r1z7og44 is black", "login Client Area fails", "passwd for 12345",
    "ssh -p 2222 root@203.0.113.7", "What is my password", "credentials for the Client Area", "user | password reset | done", "panel.example.com is down", "ssh OpenSSH_9.2 banner",
]  # fmt: skip
#: labels that are disguised or misread, in tables and files of settings, and in further languages
DISGUISED = [
    ("p a s s w o r d : hunter2x!", "hunter2x!"), ("P A S S W O R T: Hunter2x!", "Hunter2x!"),
    ("pаssword: Hunter2x!", "Hunter2x!"), ("пaрoль: Hunter2x!", "Hunter2x!"), ("рassword: Hunter2x!", "Hunter2x!"),
    ("Pαsswοrd: Hunter2x!", "Hunter2x!"), ("p@ssword: Hunter2x!", "Hunter2x!"), ("pa55word: Hunter2x!", "Hunter2x!"),
    ("passw0rd: Hunter2x!", "Hunter2x!"), ('pass\u200bword: Hunter2x!', "Hunter2x!"),
    ('pass\xadword: Hunter2x!', "Hunter2x!"), ("ｐａｓｓｗｏｒｄ: Hunter2x!", "Hunter2x!"),
    ("password﹕ Hunter2x!", "Hunter2x!"), ("password | Hunter2x!", "Hunter2x!"),
    ("| user | root |\n| password | Hunter2x! |", "Hunter2x!"), ("user,password\nroot,Hunter2x!", "Hunter2x!"),
    ("Passvvord: Hunter2x!", "Hunter2x!"), ("Pa5sword : Hunter2x!", "Hunter2x!"),
    ("Passw ord: Hunter2x!", "Hunter2x!"), ("Passwort .. Hunter2x!", "Hunter2x!"),
    ("Password . . . . : Hunter2x!", "Hunter2x!"), ("Password............Hunter2x!", "Hunter2x!"),
    ("password:\n  value: Hunter2x!", "Hunter2x!"), ("password: >-\n  Hunter2x!", "Hunter2x!"),
    ("password: |\n  Hunter2x!", "Hunter2x!"), ("- name: DB_PASS\n  value: Hunter2x!", "Hunter2x!"),
    ("- name: DB_PASSWORD\n  value: \"hunter two\"", "hunter two"),
    ("- ----BEGIN RSA PRIVATE KEY-----\nMIIEabc\n-----END RSA PRIVATE KEY-----", "MIIEabc"),
    ("—–BEGIN RSA PRIVATE KEY—–\nMIIEabcd\n—–END RSA PRIVATE KEY—–", "MIIEabcd"),
    ("---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nMIIEabcd\n---- END SSH2 ENCRYPTED PRIVATE KEY ----", "MIIEabcd"),
    ("otpauth-migration://offline?data=CjEKCkhlbGxvId6tvu8", "CjEKCkhlbGxvId6tvu8"),
    ("WIFI:S:net;T:WPA;P:Hunter2x!;;", "Hunter2x!"), ("TOTP seed: JBSW Y3DP EHPK 3PXP", "JBSW Y3DP EHPK 3PXP"),
    ("setup key: jbsw y3dp ehpk 3pxp", "jbsw y3dp ehpk 3pxp"), ("parool: Hunter2x!", "Hunter2x!"),
    ("Passord: Hunter2x!", "Hunter2x!"), ("Lösenord: Hunter2x!", "Hunter2x!"), ("salasana: Hunter2x!", "Hunter2x!"),
    ("Adgangskode: Hunter2x!", "Hunter2x!"), ("jelszó: Hunter2x!", "Hunter2x!"), ("parolă: Hunter2x!", "Hunter2x!"),
    ("lozinka: Hunter2x!", "Hunter2x!"), ("κωδικός: Hunter2x!", "Hunter2x!"), ("密码：Hunter2x!", "Hunter2x!"),
    ("パスワード：Hunter2x!", "Hunter2x!"), ("비밀번호: Hunter2x!", "Hunter2x!"), ("סיסמה: Hunter2x!", "Hunter2x!"),
    ("كلمة المرور: Hunter2x!", "Hunter2x!"), ("รหัสผ่าน: Hunter2x!", "Hunter2x!"),
    ("mật khẩu: Hunter2x!", "Hunter2x!"), ("Kennw.: Hunter2x!", "Hunter2x!"), ("root Hunter2x!", "Hunter2x!"),
    ("My sec code (Client Area) is 4471", "4471"), ("Support-PIN 4471", "4471"), ("code word: bluebird", "bluebird"),
    ("Secret answer: Fluffy", "Fluffy"), ("security answer: Fluffy", "Fluffy"),
    ("Mother's maiden name: Kowalski", "Kowalski"), ("Neues Passwort bitte auf Hunter2x! setzen", "Hunter2x!"),
    ("mettez le mot de passe à Hunter2x!", "Hunter2x!"),
]  # fmt: skip
#: order numbers, addresses, names, dates and talk of passwords, of which nothing may be masked
HARMLESS = [
    "order #123456", "Order 12 34 56", "IP 203.0.113.7", "host web13", "srv-de-04 is down", "2026-11-27 14:30",
    "since 14:30", "password reset does not work", "my password is wrong", "I forgot my password",
    "Passwort vergessen", "the password is not accepted", "reset the password for order 123456", "Passwort falsch",
    "mot de passe oublié", "change the root password please", "pass: yes", "password: see below", "Invoice 214382",
    "Rechnung Nr. 214382", "https://shop.example/login?next=/a", "phone +49 30 12345678", "10115 Berlin",
    "VAT DE123456789", "T-8K2M4PX", "ticket T-8K2M4PX", "version 1.24.0", "PID 12345", "UID 1000",
    "MAC 00:1a:2b:3c:4d:5e", "uuid 5f0c1d2e-3b4a-4c5d-8e9f-0a1b2c3d4e5f",
    "commit 3f9a2b1c4d5e6f7a8b9c0d1e2f3a4b5c6d7e8f90",
    "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "code 502", "error code 0x80070005",
    "promo code XMAS2026", "Postcode 10115", "the key is under the mat", "key features",
    "public key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGh anna@x", "token ring",
    "the pass to the data centre is at 9", "compass 45", "Pin 5 on the connector", "RJ45 pin 8", "bypass: yes",
    "password policy: 12 characters", "password login: disabled", "PasswordAuthentication no", "PermitRootLogin yes",
    "ssh root@203.0.113.7", "root@web13:~# uptime", "user: anna", "login: anna", "my user is anna.schmidt",
    "Die PIN ist gesperrt", "secret sauce", "access code missing", "two-factor is broken",
    "2FA code does not arrive", "smtp auth failed", "authentication failed", "card declined", "IBAN please",
    "please send your IBAN", "4 vCPU 8 GB", "price 12.50", "passed 3 tests", "PASS 3", "test PASS",
    "password: ******", "password: ********", "Passwort: xxxxxx", "serial SN12345678", "S/N: 5CD1234XYZ",
    "asset tag A12345", "model PowerEdge R740xd", "rack A12 unit U14", "the account key word", "license: MIT",
    "api version v2", "API key rotation", "a security code is asked for", "Security code required",
    "verification code not received", "The code you sent is invalid", "Kundennummer: 10023", "order code 1234",
    "tracking code 1Z999AA10123456784", "imei 490154203237518", "QR code broken", "Codes 4xx and 5xx", "Zahlencode",
    "my mother's maiden name is asked", "passport number 1234", "bank transfer of 1234 5678", "data: 4111",
    "the secret is out", "token expired at 14:30", "pw reset", "pw", "pass",
    "PW reset mail does not arrive at anna@shop.example", "keepass database", "db_password is wrong",
    "DB_PASSWORD not set",
]  # fmt: skip


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_nothing_of_a_secret_is_left(text: str, secret: str) -> None:
    surrounded = f"Hello,\n\n{text}\n\nThanks, Anna"
    masked, count = secrets.mask(surrounded)
    assert secret not in masked
    assert count >= 1
    assert masked.startswith("Hello,\n\n")
    assert masked.endswith("\n\nThanks, Anna")
    assert secrets.suspected(surrounded)


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_secret_stays_as_it_is(text: str) -> None:
    surrounded = f"Hello,\n\n{text}\n\nThanks, Anna"
    assert secrets.mask(surrounded) == (surrounded, 0)


@pytest.mark.parametrize(("text", "secret"), DISGUISED)
def test_a_disguised_label_hides_nothing(text: str, secret: str) -> None:
    assert secrets.suspected(text)
    assert secret not in secrets.mask(f"Hello,\n\n{text}\n\nThanks\n")[0]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_is_left_as_it_is(text: str) -> None:
    surrounded = f"Hello,\n\n{text}\n\nThanks\n"
    assert secrets.mask(surrounded) == (surrounded, 0)


def test_a_mail_that_cannot_be_read_shows_no_secret_either() -> None:
    block = b'From: "Anna, password: hunter2hunter2" <anna@example.de>\r\nSubject: the password: hunter2hunter2 of #123456\r\n\r\n'
    found = unreadable(block, (9, "0" * 64), "it is damaged", author_of(block), "anna@example.de")
    assert found.parsed.subject.startswith("the password: [masked]") and found.parsed.subject.endswith("#123456")
    assert found.author.display_name.startswith("Anna") and "hunter2" not in found.author.display_name
