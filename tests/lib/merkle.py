"""RFC 6962 trees and C2SP notes for tests, with Python's standard library and the openssl program: none of the code under test.

Proofs are checked as RFC 9162 says (2.1.3.2, 2.1.4.2), roots are computed as RFC 6962 does (2.1).
"""
import base64
import hashlib
import os
import struct
import subprocess
import tempfile

PKCS8_ED25519 = bytes.fromhex('302e020100300506032b657004220420')
SPKI_ED25519 = bytes.fromhex('302a300506032b6570032100')


def sha256(*parts):
    return hashlib.sha256(b''.join(parts)).digest()


def leaf_hash(entry):
    return sha256(b'\x00', entry)


def root_of(leaves):
    """Root over leaf hashes, level by level: a lone right node goes up as it is, which is RFC 6962's split."""
    if not leaves:
        return sha256()
    while len(leaves) > 1:
        pairs = [sha256(b'\x01', leaves[i], leaves[i + 1]) for i in range(0, len(leaves) - 1, 2)]
        leaves = pairs + leaves[len(leaves) - len(leaves) % 2:]
    return leaves[0]


def split(path):
    if len(path) % 32:
        raise ValueError('a path of %d bytes' % len(path))
    return [path[i:i + 32] for i in range(0, len(path), 32)]


def includes(leaf, index, size, path, root):
    if index >= size:
        return False
    fn, sn, r = index, size - 1, leaf
    for p in split(path):
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            r = sha256(b'\x01', p, r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = sha256(b'\x01', r, p)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and r == root


def extends(old, old_root, size, root, proof):
    proof = split(proof)
    if old == size:
        return not proof and old_root == root
    if old == 0:
        return not proof
    if old > size or not proof:
        return False
    if old & (old - 1) == 0:
        proof = [old_root] + proof
    fn, sn = old - 1, size - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = proof[0]
    for c in proof[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = sha256(b'\x01', c, fr), sha256(b'\x01', c, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = sha256(b'\x01', sr, c)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and fr == old_root and sr == root


# ---------------------------------------------------------------- keys and notes


def openssl(*words, **files):
    """Runs openssl on files with these contents; words name them as {name}. Returns its output, None if it fails."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {}
        for name, data in files.items():
            paths[name] = os.path.join(folder, name)
            with open(paths[name], 'wb') as f:
                f.write(data)
        done = subprocess.run(['openssl'] + [w.format(**paths) for w in words], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL)
        return done.stdout if done.returncode == 0 else None


class Key:
    """A verifier key, NAME+id+base64."""

    def __init__(self, text):
        self.name, self.id, data = text.split('+', 2)
        self.id, data = bytes.fromhex(self.id), base64.b64decode(data)
        self.type, self.public = data[0], data[1:]
        if self.id != sha256(self.name.encode(), b'\n', data)[:4]:
            raise ValueError('the key id is not that of the key')

    def verifies(self, message, signature):
        return openssl('pkeyutl', '-verify', '-pubin', '-inkey', '{key}', '-keyform', 'DER', '-rawin', '-in', '{message}',
                       '-sigfile', '{signature}', key=SPKI_ED25519 + self.public, message=message,
                       signature=signature) is not None


class Checkpoint:
    def __init__(self, note):
        text, _, lines = note.decode().partition('\n\n')
        self.note, self.text = note, text.encode() + b'\n'
        self.origin, size, root = text.split('\n')
        self.size, self.root = int(size), base64.b64decode(root)
        self.signatures = []
        for line in lines.splitlines():
            dash, name, data = line.split(' ')
            if dash != '\u2014':
                raise ValueError('a signature line begins with %r' % dash)
            self.signatures.append((name, base64.b64decode(data)))

    def signed_by(self, key):
        """The time of a cosignature, True for a signature; None if there is none that verifies."""
        for name, data in self.signatures:
            if name != key.name or data[:4] != key.id:
                continue
            if key.type == 1:
                return True if key.verifies(self.text, data[4:]) else None
            seconds = struct.unpack('>Q', data[4:12])[0]
            message = b'cosignature/v1\ntime %d\n' % seconds + self.text
            return seconds if key.verifies(message, data[12:]) else None
        return None


class Witness:
    """A key of its own that cosigns (type 4)."""

    def __init__(self, name):
        self.name, self.seed = name, os.urandom(32)
        der = openssl('pkey', '-inform', 'DER', '-in', '{key}', '-pubout', '-outform', 'DER', key=PKCS8_ED25519 + self.seed)
        self.public = der[len(SPKI_ED25519):]
        self.id = sha256(name.encode(), b'\n\x04', self.public)[:4]

    @property
    def vkey(self):
        return '%s+%s+%s' % (self.name, self.id.hex(), base64.b64encode(b'\x04' + self.public).decode())

    def cosign(self, checkpoint, seconds):
        message = b'cosignature/v1\ntime %d\n' % seconds + checkpoint.text
        signature = openssl('pkeyutl', '-sign', '-inkey', '{key}', '-keyform', 'DER', '-rawin', '-in', '{message}',
                            key=PKCS8_ED25519 + self.seed, message=message)
        data = self.id + struct.pack('>Q', seconds) + signature
        return checkpoint.note + ('\u2014 %s %s\n' % (self.name, base64.b64encode(data).decode())).encode()
