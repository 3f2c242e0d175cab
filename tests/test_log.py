"""The log when its reader is slow, silent or gone (RELIABILITY X58): lines are lost, and counted; nothing waits for them."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import log
from tests.peers.harness import LoopbackPeers, Running, free_port, until
from tests.test_faults import signed


@pytest.fixture
def pipe() -> Iterator[int]:
    """The reading end of a pipe of one page that the log writes into."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(reading, False)
    with os.fdopen(writing, "w") as stream:
        log.configure(stream, True)
        yield reading
        log.configure()
    os.close(reading)


def drained(reading: int) -> bytes:
    found = b""
    try:
        while piece := os.read(reading, 65536):
            found += piece
    except BlockingIOError:
        pass
    return found


@pytest.mark.parametrize("length", [10, 3000, 6000])
def test_lines_that_nobody_reads_are_lost_and_counted(pipe: int, length: int) -> None:
    for number in range(50):
        log.refused("192.0.2.1", number, "x" * length)
    text = drained(pipe)
    log.refused("192.0.2.1", 1000, "again")
    text += drained(pipe)
    lines = text.splitlines()
    whole = []
    for line in lines:
        try:
            whole.append(json.loads(line))
        except ValueError:
            assert length > 4096, "a short line is written whole or not at all"
    assert whole[-1]["code"] == 1000 and whole[-2]["event"] == "log_lines_lost"
    assert [record["code"] for record in whole[:-2]] == list(range(len(whole) - 2)), "in order, and none between"
    assert whole[-2]["count"] == 50 - (len(whole) - 2) > 0


@pytest.mark.fault("X58")
def test_a_log_whose_reader_is_gone_stops_nothing() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        log.configure(stream, True)
        for _ in range(3):
            log.refused("192.0.2.1", 550, "x")
        with pytest.raises(BrokenPipeError):
            os.write(writing, b"x")
        log.configure()


@pytest.mark.fault("X58")
def test_the_service_goes_on_while_nobody_reads_its_log(peers: LoopbackPeers, tmp_path: Path) -> None:
    """A journal that hangs: the pipe is full, and mail is taken and answered all the same."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    port = free_port()
    daemon = Running(tmp_path, peers, stderr=writing, ready=False, smtp={"listen": [f"smtp://127.0.0.1:{port}"]})
    os.close(writing)
    daemon.smtp_port = port

    def taken() -> bool:
        try:
            return daemon.send(signed(0), "ops@shop.example")[0] == 250
        except OSError:
            return False

    try:
        until(taken, 30)
        for number in range(1, 30):
            assert daemon.send(signed(number), "ops@shop.example")[0] == 250
        until(lambda: len(peers.taken) >= 6, 30, "replies")
        os.close(reading)  # and now it is gone
        assert daemon.send(signed(30), "ops@shop.example")[0] == 250
    finally:
        assert daemon.stop() == 0


def test_a_slow_reader_is_not_waited_for_again_and_again(pipe: int, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = []

    class Room:
        def poll(self, milliseconds: int) -> list[int]:
            if milliseconds:
                waits.append(milliseconds)
            return []

    monkeypatch.setattr(log, "_room", Room())
    for _ in range(3):
        log.refused("192.0.2.1", 550, "x")
        monkeypatch.setattr(log, "_lost", 0)  # a line got through in between
    assert waits == [log.PATIENCE_MS]
