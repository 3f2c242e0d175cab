"""Beside django-helpdesk: ``python -m bench.helpdesk [--mails 500]``; both in one run, on the same signed mails of 5 KB.

django-helpdesk comes from PyPI into a virtual environment of its own below a temporary folder, as its documentation installs it: Django's
own settings, SQLite on disk, its shipped mail templates, one queue with a local mailbox directory, and its acknowledgement
of each new ticket sent by SMTP to a sink. ``manage.py get_email`` is run once over all mails (it is a cron job: to start it is not
counted here, an empty run is subtracted). It verifies no signature, asks no DNS and knows no accounts.

Ours is ``bench.throughput``: the service with everything on, by SMTP from eight senders, SPF, DKIM and DMARC verified, answered.
Counted of both: CPU seconds, user and system, of the process and its children; not counted: senders, nameserver, sink.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path

from bench.throughput import measure, signed_mails
from tests.peers.harness import LoopbackPeers

PACKAGE = "django-helpdesk==2.6.1"
SETTINGS = """
from pathlib import Path
BASE_DIR = Path(__file__).parent
SECRET_KEY = "only for this run"
USE_TZ = True
ROOT_URLCONF = "urls"
SITE_ID = 1
INSTALLED_APPS = [
    "django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
    "django.contrib.messages", "django.contrib.sites", "django.contrib.humanize", "django.contrib.staticfiles",
    "rest_framework", "helpdesk",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware", "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {"context_processors": [
    "django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
    "django.contrib.messages.context_processors.messages"]}}]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
MEDIA_ROOT = BASE_DIR / "media"
STATIC_URL = "/static/"
DEFAULT_FROM_EMAIL = "support@introserv.com"
EMAIL_HOST, EMAIL_PORT = "127.0.0.1", __PORT__
HELPDESK_TEAMS_MODEL, HELPDESK_TEAMS_MIGRATION_DEPENDENCIES, HELPDESK_KBITEM_TEAM_GETTER = "auth.User", [], lambda item: None
"""
URLS = "from django.urls import include, path\nurlpatterns = [path('helpdesk/', include('helpdesk.urls'))]\n"
QUEUE = """
from helpdesk.models import Queue
Queue.objects.create(title="Support", slug="support", email_address="support@introserv.com", allow_email_submission=True,
    email_box_type="local", email_box_local_dir="__SPOOL__", email_box_interval=0, logging_type="none",
    enable_notifications_on_email_events=True)
"""
COUNT = "from helpdesk.models import Ticket; print(Ticket.objects.count())"


class Helpdesk:
    """An installation of django-helpdesk in a folder."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder, self.spool = folder, folder / "spool"
        self.spool.mkdir()
        venv.create(folder / "venv", with_pip=True)
        self._python = folder / "venv" / "bin" / "python"
        install = [str(self._python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE]
        subprocess.run(install, check=True, stderr=subprocess.DEVNULL)
        (folder / "settings.py").write_text(SETTINGS.replace("__PORT__", str(port)))
        (folder / "urls.py").write_text(URLS)
        self.manage("migrate", "--verbosity", "0")
        self.manage("loaddata", "--verbosity", "0", "emailtemplate.json")
        self.manage("shell", "-c", QUEUE.replace("__SPOOL__", str(self.spool)))

    def manage(self, *words: str) -> tuple[str, float]:
        """(what a management command printed, its CPU seconds)."""
        before = _children()
        done = subprocess.run(
            [str(self._python), "-m", "django", *words], cwd=self._folder, capture_output=True, text=True, check=False,
            env=os.environ | {"DJANGO_SETTINGS_MODULE": "settings", "PYTHONPATH": str(self._folder)},
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
        return done.stdout, _children() - before


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def theirs(mails: Sequence[bytes]) -> tuple[float, float]:
    """(CPU seconds of ``get_email`` over these mails without its start, CPU seconds of its start)."""
    peers = LoopbackPeers()
    folder = Path(tempfile.mkdtemp(prefix="gateway-helpdesk-"))
    try:
        desk = Helpdesk(folder, peers.relay)
        desk.manage("get_email", "--quiet")  # compiles what is compiled once
        _, start = desk.manage("get_email", "--quiet")
        for number, raw in enumerate(mails):
            (desk.spool / f"{number:06}").write_bytes(raw)
        said, spent = desk.manage("get_email", "--quiet")
        tickets = int(desk.manage("shell", "-c", COUNT)[0].split()[-1])
        if tickets != len(mails) or len(peers.taken) != len(mails):
            raise RuntimeError(f"{tickets} tickets and {len(peers.taken)} mails sent of {len(mails)}: {said[-500:]}")
        return spent - start, start
    finally:
        peers.close()
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mails", type=int, default=500)
    count = parser.parse_args().mails
    mails, public = signed_mails(count + 100)
    spent, start = theirs(mails[100:])
    ours = measure(count, signed=(mails, public))
    their_ms = spent * 1000 / count
    print(f"{count} signed mails of 5 KB, the same for both, one ticket and one acknowledgement each")
    print(
        f"  {PACKAGE} get_email, local directory, nothing verified: {their_ms:6.2f} CPU ms a mail (and {start:.2f} s to start)"
    )
    print(f"  ours, everything on:                                      {ours['cpu_ms']:6.2f} CPU ms a mail")
    print(f"  a bare aiosmtpd that writes and fsyncs:                   {ours['bare_ms']:6.2f} CPU ms a mail")
    print(f"ours is {ours['cpu_ms'] / their_ms:.2f} of django-helpdesk, {ours['ratio']:.1f} times the bare one")
    return 0


if __name__ == "__main__":
    sys.exit(main())
