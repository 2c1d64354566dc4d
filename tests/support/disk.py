"""What a disk may hold when the power goes, made from what tests/faults/record.c wrote down.

What a file holds is safe once the file is synced, and what a directory names once the directory is; the rest may be
there or not, in any order and by sectors. More than that POSIX does not promise, and less than that no disk does.
"""
import os
import pathlib
import shutil

SECTOR = 512
# How much of what is not synced survives: of the data of files, and of the names in directories.
WAYS = [("none", "none"), ("all", "all"), ("some", "some"), ("none", "all"), ("zeros", "all"), ("all", "none"), ("some", "all"),
        ("zeros", "some")]


class File:
    def __init__(self, safe=b""):
        self.safe, self.changes = safe, []

    def write(self, offset, data):
        self.changes.append((offset, data))

    def resize(self, size):
        self.changes.append((size, None))

    def sync(self):
        self.safe, self.changes = self.content("all", None), []

    def content(self, way, chance):
        """Its bytes after the power went."""
        held = bytearray(self.safe)
        for offset, data in self.changes if way != "none" else []:
            if data is None:
                if way != "some" or chance.random() < 0.5:
                    held = held[:offset] + bytes(max(0, offset - len(held)))
                continue
            if way == "zeros":  # the size is there, the data is not
                held += bytes(max(0, offset + len(data) - len(held)))
                continue
            for start, piece in _sectors(offset, data):
                if way == "all" or chance.random() < 0.6:
                    held += bytes(max(0, start - len(held)))
                    held[start:start + len(piece)] = piece
        return bytes(held)


def _sectors(offset, data):
    at = 0
    while at < len(data):
        length = min(SECTOR - (offset + at) % SECTOR, len(data) - at)
        yield offset + at, data[at:at + length]
        at += length


class Directory:
    def __init__(self):
        self.safe, self.changes = {}, []

    def change(self, **names):
        """These names mean that from now on, all at once: a File, a Directory, or None."""
        self.changes.append(names)

    def sync(self):
        self.safe, self.changes = self.names("all", None), []

    def names(self, way, chance):
        held = dict(self.safe)
        for names in self.changes if way != "none" else []:
            if way == "all" or chance.random() < 0.5:
                held.update(names)
        return {name: what for name, what in held.items() if what is not None}


class Disk:
    def __init__(self, root):
        """As it is now, and safe."""
        self.root, self.inodes = pathlib.Path(root), {}
        self.top = self._load(self.root)

    def _load(self, path):
        directory = Directory()
        for entry in os.scandir(path):
            if entry.is_dir(follow_symlinks=False):
                directory.safe[entry.name] = self._load(entry.path)
            else:
                file = File(pathlib.Path(entry.path).read_bytes())
                directory.safe[entry.name] = self.inodes[entry.inode()] = file
        return directory

    def _find(self, path):
        here = self.top
        for part in pathlib.Path(path).relative_to(self.root).parts:
            here = here.names("all", None)[part]
        return here

    def _place(self, path):
        path = pathlib.Path(path)
        return self._find(path.parent), path.name

    def apply(self, words, data):
        """One record."""
        kind, first = words[0], words[1]
        if kind == "create":
            directory, name = self._place(first)
            self.inodes[int(words[2])] = File()
            directory.change(**{name: self.inodes[int(words[2])]})
        elif kind == "mkdir":
            directory, name = self._place(first)
            directory.change(**{name: Directory()})
        elif kind == "unlink":
            directory, name = self._place(first)
            directory.change(**{name: None})
        elif kind == "rename":
            (old, old_name), (new, new_name) = self._place(first), self._place(words[2])
            what = self._find(first)
            if old is new:
                old.change(**{old_name: None, new_name: what})
            else:
                new.change(**{new_name: what})
                old.change(**{old_name: None})
        elif kind == "syncdir":
            self._find(first).sync()
        elif kind == "sync":
            self.inodes[int(first)].sync()
        elif kind == "size":
            self.inodes[int(first)].resize(int(words[2]))
        else:
            self.inodes[int(first)].write(int(words[2]), data)

    def after_power_loss(self, way, chance):
        """{path below the root: bytes, or None for a directory}."""
        of_files, of_names = way
        found = {}

        def walk(directory, prefix):
            for name, what in directory.names(of_names, chance).items():
                path = f"{prefix}{name}"
                if isinstance(what, Directory):
                    found[path] = None
                    walk(what, f"{path}/")
                else:
                    found[path] = what.content(of_files, chance)
        walk(self.top, "")
        return found


def read_records(path):
    data, at = pathlib.Path(path).read_bytes(), 0
    while at < len(data):
        end = data.index(b"\n", at)
        words = data[at:end].decode().split("\t")
        at = end + 1 + int(words[-1])
        yield words, data[end + 1:at]


def write_tree(root, tree):
    """In place of whatever is below `root`."""
    root = pathlib.Path(root)
    shutil.rmtree(root)
    root.mkdir()
    for path, content in tree.items():
        if content is None:
            (root / path).mkdir(0o700)
        else:
            (root / path).write_bytes(content)
            (root / path).chmod(0o600)


