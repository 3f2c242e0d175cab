"""An rspamd of its own as a milter, in the foreground on a loopback port: its one rule takes ``SPAM`` for spam."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from tests.peers.harness import free_port, until

SPAM = "this-is-taken-for-spam"
_RULE = f"""
rspamd_config:register_symbol({{ name = "TRIED", type = "normal", score = 10.0, group = "tried",
  callback = function(task) return tostring(task:get_content()):find("{SPAM}", 1, true) ~= nil end }})
rspamd_config:set_metric_symbol({{ name = "TRIED", score = 10.0, group = "tried" }})
"""
_CONFIG = """
lua = "{folder}/rule.lua";
options {{ pidfile = "{folder}/pid"; tempdir = "{folder}"; filters = "";
  dns {{ nameserver = ["127.0.0.1:9"]; timeout = 0.1s; retransmits = 1; }} }}
logging {{ type = "console"; level = "error"; }}
actions {{ reject = null; add_header = 6; greylist = null; }}
worker "rspamd_proxy" {{ bind_socket = "127.0.0.1:{port}"; milter = yes; timeout = 30s; count = 1;
  upstream "local" {{ default = yes; self_scan = yes; }} }}
"""


class Rspamd:
    """A milter that marks ``SPAM``."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="gateway-rspamd-", dir="/var/tmp"))
        self.port = free_port()
        config = self.folder / "rspamd.conf"
        (self.folder / "rule.lua").write_text(_RULE)
        config.write_text(_CONFIG.format(folder=self.folder, port=self.port))
        self.process = subprocess.Popen(
            ["rspamd", "--insecure", "--no-fork", f"--var=DBDIR={self.folder}", "--config", str(config)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

        def up() -> bool:
            if self.process.poll() is not None:
                raise RuntimeError("rspamd ended")
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0

        until(up, 60, "rspamd")

    def close(self) -> None:
        """Ends it and removes its folder."""
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)
