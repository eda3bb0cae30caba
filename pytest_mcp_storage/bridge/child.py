"""The bridge's process: start it, write lines, read lines, and end it by its process id."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import tempfile
from asyncio import AbstractEventLoop
from collections.abc import Callable, Mapping, Sequence

from pytest_mcp_storage.bridge.errors import BridgeFault
from pytest_mcp_storage.stacks.processes import dies_with_parent

READ_BYTES = 1 << 16  # what a pipe holds
STDERR_LINES = 12
STDERR_BYTES = 4000


class Child:
    """A program that reads lines on stdin and writes lines on stdout. Its stderr goes to a temporary file.

    ``on_line`` gets each complete line without its end. ``on_end`` gets the rest of an incomplete line when stdout
    closes. Both are called by the loop of :meth:`follow`, or by :meth:`pump`.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        on_line: Callable[[bytes], None],
        on_end: Callable[[bytes], None],
        on_overlong: Callable[[], None],
        longest_line: int,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._on_line = on_line
        self._on_end = on_end
        self._on_overlong = on_overlong
        self._longest_line = longest_line
        self._loop: AbstractEventLoop | None = None
        self._head = bytearray()  # the beginning of an incomplete line
        self._unsent: bytearray = bytearray()
        if shutil.which(command[0]) is None:
            raise BridgeFault(f"the bridge can't be started: there is no program {command[0]!r} on the PATH")
        # Opened to append: the child shares the file's offset, and reading it here moves the offset.
        self._stderr = tempfile.TemporaryFile("a+b")  # noqa: SIM115 - closed by end()
        try:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                env=env,
                bufsize=0,
                start_new_session=True,
                preexec_fn=dies_with_parent(signal.SIGKILL),
            )
        except (OSError, subprocess.SubprocessError) as error:
            self._stderr.close()
            raise BridgeFault(f"the bridge can't be started: {error}") from None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin = self._process.stdin.fileno()
        self._stdout = self._process.stdout.fileno()
        os.set_blocking(self._stdin, False)
        os.set_blocking(self._stdout, False)
        self._reading = True
        self._helpers_ended = False

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._process.pid

    def follow(self, loop: AbstractEventLoop) -> None:
        """Read and write on this loop from now on."""
        if loop is self._loop:
            return
        self._unfollow()
        self._loop = loop
        if self._reading:
            loop.add_reader(self._stdout, self._read)
        if self._unsent:
            loop.add_writer(self._stdin, self._write)

    def send(self, line: bytes) -> None:
        """Write as much of the line as the pipe accepts now; the loop writes the rest."""
        if self._unsent:
            self._unsent += line
            return
        try:
            written = os.write(self._stdin, line)
        except BlockingIOError:
            written = 0
        except OSError:
            return  # it reads no more; the end of its stdout reports that
        if written < len(line):
            self._unsent += line[written:]
            if self._loop is not None:
                self._loop.add_writer(self._stdin, self._write)

    def pump(self, seconds: float) -> bool:
        """Read and write without a loop, for at most ``seconds``. Return False if nothing was read or written."""
        poll = select.poll()
        if self._reading:
            poll.register(self._stdout, select.POLLIN)
        if self._unsent:
            poll.register(self._stdin, select.POLLOUT)
        ready = [fd for fd, _ in poll.poll(seconds * 1000)]
        if self._stdin in ready:
            self._write()
        if self._stdout in ready:
            self._read()
        return bool(ready)

    def exit_report(self) -> str:
        """Return how the process ended, if it has, and the last lines of its stderr, for the end of a message."""
        if not self._reading:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0.5)  # its stdout closes short_repr before it ends
        code = self._process.poll()
        if code is not None:
            self._end_helpers()
        how = "" if code is None else f" It ended {_exit_text(code)}."
        lines = self._last_errors()
        return how + (f" Its stderr ends:\n{lines}" if lines else " Its stderr is empty.")

    @property
    def reads(self) -> bool:
        """Return whether more may come."""
        return self._reading

    def close_input(self) -> None:
        """Close its stdin."""
        self._unfollow()
        self._unsent.clear()
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    @property
    def head(self) -> bytes:
        """Return the beginning of an incomplete line."""
        return bytes(self._head)

    def close_pipes(self) -> None:
        """Close its stdin and stdout: a bridge that still runs can then clean up."""
        self.close_input()
        self._reading = False
        assert self._process.stdout is not None
        self._process.stdout.close()

    def end(self, grace: float) -> bool:
        """Close its stdin and wait; after ``grace`` seconds kill it and everything that it started.

        Return True if it ended by itself.
        """
        self.close_pipes()
        left = True
        try:
            self._process.wait(grace)
        except subprocess.TimeoutExpired:
            left = False
        self._end_helpers()
        self._process.wait()
        self._stderr.close()
        return left

    def _end_helpers(self) -> None:
        """Kill the rest of its process group, which ``start_new_session`` made for it.

        Do that only once, as soon as the process has ended: later the number may belong to another group.
        """
        if not self._helpers_ended:
            self._helpers_ended = True
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _unfollow(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._stdout)
            self._loop.remove_writer(self._stdin)
        self._loop = None

    def _write(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: os.write(self._stdin, self._unsent)]
        except BlockingIOError:
            return
        except OSError:
            self._unsent.clear()
        if self._loop is not None:
            self._loop.remove_writer(self._stdin)

    def _read(self) -> None:
        try:
            data = os.read(self._stdout, READ_BYTES)
        except BlockingIOError:
            return
        if not data:
            self._reading = False
            if self._loop is not None:
                self._loop.remove_reader(self._stdout)
            self._on_end(self.head)
            return
        *lines, rest = data.split(b"\n")
        if lines and self._head:
            lines[0] = bytes(self._head) + lines[0]
            self._head.clear()
        self._head += rest
        for line in lines:
            self._on_line(line)
            if not self._reading:
                return
        if len(self._head) > self._longest_line:
            self._head.clear()
            self._on_overlong()

    def _last_errors(self) -> str:
        if self._stderr.closed:
            return ""
        size = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, size - STDERR_BYTES))
        lines = self._stderr.read().decode(errors="replace").splitlines()[-STDERR_LINES:]
        return "\n".join(f"  {line}" for line in lines)


def _exit_text(code: int) -> str:
    if code >= 0:
        return f"with status {code}"
    try:
        return f"by {signal.Signals(-code).name}"
    except ValueError:
        return f"by signal {-code}"
