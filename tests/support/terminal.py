"""A program on a terminal: what it wrote there, and what somebody in front of it sees in the end."""
import fcntl
import os
import pty
import re
import struct
import termios
import threading

from .processes import wait_for

_TOKEN = re.compile(r"\x1b\[(\d*)([A-Za-z])|([^\x1b])|\x1b", re.DOTALL)


class Terminal:
    """`slave` is for the program. What it writes is read at once, so that it never waits for a slow reader."""

    def __init__(self, rows=24, columns=80):
        self.rows, self.columns = rows, columns
        self._master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._written = bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        while True:
            try:
                data = os.read(self._master, 1 << 16)
            except OSError:  # nobody has the other side any more
                return
            if not data:
                return
            self._written += data

    @property
    def text(self):
        return self._written.decode()

    def wait_for(self, pattern):
        return wait_for(lambda: re.search(pattern, self.text), f"{pattern!r} on the terminal")

    def close(self):
        """After the program has ended; everything that it wrote has then been read."""
        os.close(self.slave)
        self._reader.join(10)
        os.close(self._master)

    def screen(self):
        """The lines that are left, with those that scrolled away, as a terminal of this size has them."""
        return draw(self.text, self.rows, self.columns)


def draw(text, rows, columns):
    lines, row, column = [[]], 0, 0
    for number, command, character in (match.groups() for match in _TOKEN.finditer(text)):
        if command == "A":  # up, but not above the top of the window
            row = max(row - int(number or 1), len(lines) - rows, 0)
        elif command == "J" and number in ("", "0"):  # erase from the cursor to the end
            del lines[row][column:], lines[row + 1:]
        elif command or character is None:
            raise AssertionError(f"a control sequence that nobody expects: {command!r} in {text!r}")
        elif character == "\r":
            column = 0
        elif character == "\n" or column == columns:
            row, column = row + 1, 0 if character != "\n" else column
            if row == len(lines):
                lines.append([])
        if character and character not in "\r\n":
            lines[row] += " " * (column - len(lines[row]))
            lines[row][column:column + 1] = character
            column += 1
    return ["".join(line).rstrip() for line in lines]
