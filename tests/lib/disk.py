"""What a program writes and flushes, and images of the disk that a power cut leaves. tests/fault/disk.c is the other end.

disk = Disk(path)            a control file; disk.program(path, real) is `real`, watched
disk.fail(n, error, ...)     the n-th matching call from now on fails; error 0: it stands still until it is killed, LIE: it says that
                             it was done, and was not
disk.records()               what was done to files, in order, with the time
replay(base, records)        the files as a cut just after these records may leave them: File.after(chance, share)

A write is on the disk when a flush of its file has ended, or by its own end where the file was opened with O_DSYNC (each file
has one thread that writes it). Until then any 512-byte piece of it may be there or not, in any version.
"""
import collections
import mmap
import os
import struct
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OUT = os.path.abspath(os.environ.get('OUT', os.path.join(TOP, 'build')))
HEAD, ROOM, SECTOR = 4096, 1 << 28, 512
WORDS = ('used', 'room', 'calls', 'first', 'last', 'error', 'kinds', 'inode', 'failed', 'part')
WRITES, FLUSHES = 1, 2
KIND = (None, 'write', 'written', 'flush', 'flushed', 'truncate', 'failed')
FOREVER, LIE = (1 << 64) - 1, 10000

Record = collections.namedtuple('Record', 'kind inode offset length time_ns durable data')


class Disk:
    def __init__(self, path):
        self.path = os.path.abspath(path)
        with open(self.path, 'wb') as f:
            f.truncate(ROOM)
        with open(self.path, 'r+b') as f:
            self.map = mmap.mmap(f.fileno(), ROOM)
        self.set(room=ROOM)

    def set(self, **words):
        for name, value in words.items():
            at = 8 * WORDS.index(name)
            self.map[at:at + 8] = struct.pack('<Q', value)

    def get(self, name):
        at = 8 * WORDS.index(name)
        return struct.unpack('<Q', self.map[at:at + 8])[0]

    def environment(self):
        options = os.environ.get('ASAN_OPTIONS', '')
        return {'LD_PRELOAD': os.path.join(OUT, 'tests/fault/disk.so'), 'DISK_CONTROL': self.path,
                'ASAN_OPTIONS': options + ':verify_asan_link_order=0'}

    def program(self, path, real):
        """A program that is `real`, watched."""
        with open(path, 'w') as f:
            f.write('#!/bin/sh\n%s exec %s "$@"\n' % (' '.join('%s=%s' % i for i in self.environment().items()), real))
        os.chmod(path, 0o755)
        return os.path.abspath(path)

    def fail(self, n, error, kinds=WRITES | FLUSHES, path=None, last=None, part=False):
        """The n-th call from now on that touches the file fails, and those after it up to `last`."""
        self.set(first=0, calls=0, failed=0, error=error, kinds=kinds, part=part,
                 inode=os.stat(path).st_ino if path else 0, last=n if last is None else last)
        self.set(first=n)

    def heal(self):
        self.set(first=0)

    def records(self):
        found, at, end = [], HEAD, HEAD + self.get('used')
        while at < end:
            kind, size, inode, offset, length, time_ns, durable = struct.unpack_from('<7Q', self.map, at)
            if kind == 0 and size == 0:
                sys.exit('disk: a record was cut short')
            data = self.map[at + 56:at + 56 + length] if KIND[kind] == 'write' else b''
            if kind:
                found.append(Record(KIND[kind], inode, offset, length, time_ns, durable, data))
            at += size
        return found

    def forget(self):
        """Begins a new recording; the program must not run."""
        end = HEAD + self.get('used')
        for at in range(HEAD, end, 1 << 20):
            self.map[at:min(at + (1 << 20), end)] = bytes(min(1 << 20, end - at))
        self.set(used=0)


class File:
    """The states that one file may be in: bytes that are on the disk, and versions of sectors that may be."""

    def __init__(self, data):
        self.sure, self.maybe = bytearray(data), {}  # sector -> versions, oldest first
        self.seen = bytearray(data)                  # what the operating system shows

    def write(self, offset, data):
        end = offset + len(data)
        if len(self.seen) < end:
            self.seen.extend(bytes(end - len(self.seen)))
        self.seen[offset:end] = data
        for s in range(offset // SECTOR, (end + SECTOR - 1) // SECTOR):
            self.maybe.setdefault(s, []).append(bytes(self.seen[s * SECTOR:(s + 1) * SECTOR]))

    def flush(self, begin=0, length=None):
        for s in [s for s in self.maybe if length is None or begin // SECTOR <= s <= (begin + length - 1) // SECTOR]:
            self.put(self.sure, s, self.maybe.pop(s)[-1])

    @staticmethod
    def put(data, sector, piece):
        at = sector * SECTOR
        if len(data) < at + len(piece):
            data.extend(bytes(at + len(piece) - len(data)))
        data[at:at + len(piece)] = piece

    def after(self, chance, share):
        data = bytearray(self.sure)
        for s in sorted(self.maybe):
            if chance.random() < share:
                self.put(data, s, chance.choice(self.maybe[s]))
        return data


def replay(base, records):
    """base: {inode: bytes}. The files as they may be when all of these records had been made and no more."""
    files = {inode: File(data) for inode, data in base.items()}
    for r in records:
        f = files.get(r.inode)
        if f is None:
            continue
        if r.kind == 'write':
            f.write(r.offset, r.data)
        elif r.kind == 'written' and r.durable:
            f.flush(r.offset, r.length)
        elif r.kind == 'flushed':
            f.flush()
        elif r.kind == 'truncate':
            sys.exit('disk: a file was cut; the images know nothing of that')
    return files
