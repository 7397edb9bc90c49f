#!/usr/bin/python3
"""The smallest independent checker of what Liaison hands to outsiders: a checkpoint, a proof file, a bundle, a fork's evidence.

    verify.py checkpoint NOTE --policy POLICY [--rotations FILE] [--now SECONDS]
    verify.py proof FILE ENTRY --policy POLICY ...        ENTRY: a file with the entry's exact bytes
    verify.py bundle DIR --policy POLICY [--old NOTE] ... --old: a checkpoint that the bundle must extend
    verify.py fork FILE --policy POLICY ...               says so (exit 0) if FILE proves that two trees were signed

Written from proto/PROTOCOL.md and RFC 6962, 8032 and 9162 alone, with Python's standard library and the `openssl` program (for
Ed25519). It shares no line with the C verifier: where the two differ one of them, or the page, is wrong. It keeps all hashes in
memory and wants a bundle that begins with entry 0. Exit: 0 good, 1 tampered, 2 fork or rollback, 3 incomplete, 4 cannot check.
"""
import argparse
import base64
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import time

TAMPERED, FORK, INCOMPLETE, CANNOT = 1, 2, 3, 4
P = 2**255 - 19
# y of the points of small order: 0, 1, -1, and the two of order 8
SMALL = [0, 1, P - 1] + [int.from_bytes(bytes.fromhex(h), 'little') for h in (
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a')]


class Bad(Exception):
    def __init__(self, result, text):
        super().__init__(text)
        self.result = result


def want(good, text, result=TAMPERED):
    if not good:
        raise Bad(result, text)


def read(path, result=INCOMPLETE):
    try:
        with open(path, 'rb') as f:
            return f.read()
    except OSError as e:
        raise Bad(result, '%s: %s' % (path, e.strerror))


def sha256(*parts):
    return hashlib.sha256(b''.join(parts)).digest()


def unbase64(text):
    try:
        out = base64.b64decode(text, validate=True)
    except ValueError:
        raise Bad(TAMPERED, 'base64 that is none: %s' % text)
    want(base64.b64encode(out).decode() == text, 'base64 that is not canonical: %s' % text)
    return out


def decimal(text):
    want(re.fullmatch('0|[1-9][0-9]{0,18}', text) and int(text) < 2**63, 'not a size: %s' % text)
    return int(text)


# ---------------------------------------------------------------- keys and notes

def ed25519(public, message, signature):
    with tempfile.TemporaryDirectory() as d:
        for name, content in (('key', bytes.fromhex('302a300506032b6570032100') + public), ('message', message),
                              ('signature', signature)):
            with open(os.path.join(d, name), 'wb') as f:
                f.write(content)
        return subprocess.run(['openssl', 'pkeyutl', '-verify', '-pubin', '-keyform', 'DER', '-inkey', 'key', '-rawin', '-in',
                               'message', '-sigfile', 'signature'], cwd=d, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).returncode == 0


class Key:
    def __init__(self, text, kind):
        parts = text.split('+', 2)
        want(len(parts) == 3, 'not a verifier key: %s' % text, CANNOT)
        self.name, self.id, data = parts[0], parts[1], unbase64(parts[2])
        self.public = data[1:]
        y = int.from_bytes(self.public, 'little') & (2**255 - 1)
        want(self.name and len(data) == 33 and data[0] == kind and y < P and y not in SMALL and
             sha256(self.name.encode(), b'\n', data)[:4].hex() == self.id, 'not a verifier key: %s' % text, CANNOT)
        self.kind, self.begin, self.end = kind, 0, 2**63  # of a log: signs sizes begin < size <= end


class Note:
    def __init__(self, raw):
        want(len(raw) <= 65536, 'a note that is too long')
        try:
            whole = raw.decode()
        except UnicodeDecodeError:
            raise Bad(TAMPERED, 'a note that is not UTF-8')
        want(not re.search('[\x00-\x09\x0b-\x1f]', whole), 'a note with control characters')
        text, gap, lines = whole.rpartition('\n\n')
        want(gap and lines.endswith('\n'), 'a note without signatures')
        self.raw, self.text, self.lines = raw, text + '\n', []
        for line in lines[:-1].split('\n'):
            m = re.fullmatch('\u2014 ([^ +]+) ([A-Za-z0-9+/=]+)', line)
            want(m, 'a line that is no signature: %s' % line)
            data = unbase64(m.group(2))
            want(len(data) >= 5, 'a signature that is too short')
            self.lines.append((m.group(1), data[:4].hex(), data[4:]))
        want(len(self.lines) <= 100, 'too many signatures')

    def signed_by(self, key):
        """None, or the time of the latest cosignature (0 of a log's key)."""
        found = None
        for name, kid, data in self.lines:
            if (name, kid) != (key.name, key.id):
                continue
            if key.kind == 4:
                want(len(data) == 72, 'a cosignature of a wrong length')
                when, signature = int.from_bytes(data[:8], 'big'), data[8:]
                message = 'cosignature/v1\ntime %d\n%s' % (when, self.text)
                want(when < 2**63, 'a cosignature of no time')
            else:
                when, signature, message = 0, data, self.text
            want(len(signature) == 64 and ed25519(key.public, message.encode(), signature),
                 'a signature in the name of %s is wrong' % key.name)
            found = when if found is None else max(found, when)
        return found


class Checkpoint:
    def __init__(self, note):
        lines = note.text.split('\n')
        want(len(lines) == 4 and lines[3] == '' and 0 < len(lines[0].encode()) <= 255, 'not a checkpoint')
        self.note, self.origin, self.size, self.root = note, lines[0], decimal(lines[1]), unbase64(lines[2])
        want(len(self.root) == 32, 'a root that is not of 32 bytes')


# ---------------------------------------------------------------- policies

class Policy:
    def __init__(self, text):
        self.logs, self.witnesses, self.groups, self.quorum, used = [], {}, {}, None, set()
        for line in text.split('\n'):
            words = line.split()
            if not words or words[0].startswith('#'):
                continue
            if words[0] == 'log' and len(words) in (2, 3):
                self.logs.append(Key(words[1], 1))
            elif words[0] == 'witness' and len(words) in (3, 4):
                self.name(words[1])
                self.witnesses[words[1]] = Key(words[2], 4)
            elif words[0] == 'group' and len(words) > 3:
                members = words[3:]
                k = {'any': '1', 'all': str(len(members))}.get(words[2], words[2])
                want(k.isdigit() and 1 <= int(k) <= len(members) and len(set(members)) == len(members) and
                     all(self.known(m) and m not in used for m in members), 'policy: %s' % line, CANNOT)
                used |= set(members)
                self.name(words[1])
                self.groups[words[1]] = (int(k), members)
            elif words[0] == 'quorum' and len(words) == 2 and self.quorum is None:
                want(words[1] == 'none' or self.known(words[1]), 'policy: %s' % line, CANNOT)
                self.quorum = words[1]
            else:
                raise Bad(CANNOT, 'policy: %s' % line)
        want(self.logs and self.quorum is not None, 'a policy wants a log and a quorum', CANNOT)
        keys = [k.public for k in self.logs] + [k.public for k in self.witnesses.values()]
        want(len(set(keys)) == len(keys), 'policy: a key stands twice', CANNOT)

    def known(self, name):
        return name in self.witnesses or name in self.groups

    def name(self, name):
        want(name != 'none' and not self.known(name), 'policy: %s is made twice' % name, CANNOT)

    def rotate(self, note):
        lines = note.text.split('\n')
        want(len(lines) == 4 and lines[3] == '' and lines[0].endswith(' key-rotation'), 'not a rotation')
        origin, size, key = lines[0][:-len(' key-rotation')], decimal(lines[1]), Key(lines[2], 1)
        want(key.name == origin and note.signed_by(key) is not None, 'a rotation that the new key has not signed')
        listed = next((k for k in self.logs if k.public == key.public and k.name == key.name), None)
        if listed is not None and listed.begin == size:
            return
        old = next((k for k in self.logs if k.name == origin and k.public != key.public and k.begin <= size and
                    k.end == 2**63 and note.signed_by(k) is not None), None)
        if old is None and listed is not None:
            return  # a policy that begins with the new key
        want(old is not None, 'a rotation that no key in force has signed')
        old.end = size
        if listed is None:
            self.logs.append(key)
        (listed or key).begin = size

    def time_of(self, name, times):
        """When this witness or group had witnessed; None: it has not."""
        if name in self.witnesses:
            return times.get(name)
        k, members = self.groups[name]
        have = sorted(t for t in (self.time_of(m, times) for m in members) if t is not None)
        return have[k - 1] if len(have) >= k else None

    def judge(self, note, now):
        c = Checkpoint(note)
        times = {}
        signed = [k for k in self.logs if note.signed_by(k) is not None and k.name == c.origin and
                  (k.begin < c.size or c.size == k.begin == 0) and c.size <= k.end]
        for name, key in self.witnesses.items():
            when = note.signed_by(key)
            if when and when <= now + 300:
                times[name] = when
        want(signed, 'no key of the policy that may sign %d entries of %s has signed' % (c.size, c.origin), CANNOT)
        want(self.quorum == 'none' or self.time_of(self.quorum, times) is not None,
             '%d witnesses have cosigned: not the quorum' % len(times), CANNOT)
        return c


# ---------------------------------------------------------------- trees (RFC 6962, RFC 9162)

def node(left, right):
    return sha256(b'\x01', left, right)


def root_of(hashes):
    n = len(hashes)
    if n < 2:
        return hashes[0] if n else sha256()
    k = 1 << (n - 1).bit_length() - 1
    return node(root_of(hashes[:k]), root_of(hashes[k:]))


def climb(leaf, index, size, path):
    want(index < size, 'an index that is not below the size')
    last, got = size - 1, leaf
    for p in path:
        want(last != 0, 'a path that is too long')
        if index & 1 or index == last:
            got = node(p, got)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            got = node(got, p)
        index, last = index >> 1, last >> 1
    want(last == 0, 'a path that is too short')
    return got


def grown(old, old_root, size, proof):
    """The two roots that a consistency proof leads to."""
    want(0 < old < size and proof, 'not a proof of growth')
    if old & (old - 1) == 0:
        proof = [old_root] + proof
    n, last = old - 1, size - 1
    while n & 1:
        n, last = n >> 1, last >> 1
    a = b = proof[0]
    for p in proof[1:]:
        want(last != 0, 'a proof that is too long')
        if n & 1 or n == last:
            a, b = node(p, a), node(p, b)
            while not n & 1 and n:
                n, last = n >> 1, last >> 1
        else:
            b = node(b, p)
        n, last = n >> 1, last >> 1
    want(last == 0, 'a proof that is too short')
    return a, b


# ---------------------------------------------------------------- entries

def varint(b, at):
    v = shift = 0
    while True:
        want(at < len(b) and shift < 70, 'a number that is cut short')
        v |= (b[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if b[at - 1] < 128:
            want((b[at - 1] or shift == 7) and v < 2**64, 'a number that is not minimal')
            return v, at


def fields(b):
    """Field number -> its values, of strict bytes with numbers (wire type 0) and bytes (2) only."""
    out, at, last = {}, 0, 0
    repeated = {18, 29, 31}  # rules, sections, summary
    while at < len(b):
        tag, at = varint(b, at)
        number, wire = tag >> 3, tag & 7
        want(number >= last and (number > last or number in repeated) and 1 <= number <= 36 and wire in (0, 2),
             'fields that are not strict')
        value, at = varint(b, at)
        if wire == 2:
            want(at + value <= len(b), 'bytes that are cut short')
            value, at = b[at:at + value], at + value
        want(value or number in repeated, 'a default that is written out')
        out.setdefault(number, []).append(value)
        last = number
    return out


VERSION, SEQ, TIME, EVENT, CODE, AGENCY, COUNTERPART, RULE_SET, COUNTER, COUNTERPART_COUNTER = 1, 2, 3, 6, 8, 10, 12, 19, 23, 24
COUNT, SUMMARY, LOG, NOTE = 30, 31, 32, 33
EVENT_SUMMARY, EVENT_NEW_LOG, EVENT_KEY_ROTATE = 8, 9, 10


class Trail:
    """What follows from one entry to the next."""

    def __init__(self, origin, policy):
        self.log = decimal(origin.rpartition('/')[2])
        self.policy, self.origin = policy, origin
        self.time, self.counters, self.rule_sets, self.summary, self.before = 0, {}, set(), 0, None

    def entry(self, seq, raw):
        f = fields(raw)
        one = {n: v[-1] for n, v in f.items()}
        here = 'entry %d: ' % seq
        want(one.get(VERSION) == 1, here + 'version')
        want(one.get(SEQ, 0) == seq, here + 'says that it is entry %d' % one.get(SEQ, 0))
        want(one.get(LOG) == self.log, here + 'of another log')
        want(one.get(TIME, 0) >= self.time, here + 'older than the one before it')
        self.time = one.get(TIME, 0)
        if RULE_SET in one:
            self.rule_sets.add(one[RULE_SET])
        agency = one.get(AGENCY, b'')
        known = agency in self.counters or self.log == 1  # a log after another takes the counters over
        counter = self.counters.get(agency, 0) + 1
        want(one.get(COUNTER, 0) == counter or not known, here + 'the counter of %s is %d, not %d' %
             (agency.decode(), one.get(COUNTER, 0), counter))
        self.counters[agency] = one.get(COUNTER, 0)
        other = one.get(COUNTERPART)
        if COUNTERPART_COUNTER in one and (other in self.counters or self.log == 1):
            self.counters[other] = self.counters.get(other, 0) + 1
        self.events(seq, one, f, here)

    def events(self, seq, one, f, here):
        event = one.get(EVENT)
        if event == EVENT_SUMMARY and CODE not in one:  # one that was denied is none
            total, n = one.get(COUNT, 0), len(f.get(SUMMARY, []))
            self.summary = self.summary or total
            want(total and n == min(self.summary, 256), here + 'a summary that lacks parties')
            self.summary -= n
        else:
            want(self.summary == 0, here + 'a summary should go on here')
        if event == EVENT_KEY_ROTATE:
            self.policy.rotate(Note(one.get(NOTE, b'')))
        want((event == EVENT_NEW_LOG) == (seq == 0 and self.log > 1), here + 'a log begins')
        if event == EVENT_NEW_LOG:
            self.before = Checkpoint(Note(one.get(NOTE, b'')))
            want(self.before.origin == '%s/%d' % (self.origin.rpartition('/')[0], self.log - 1), here + 'another log before')


# ---------------------------------------------------------------- bundles

def tile_number(n):
    groups = ['%03d' % (n % 1000)]
    while n >= 1000:
        n //= 1000
        groups.insert(0, 'x%03d' % (n % 1000))
    return '/'.join(groups)


def tile_path(kind, n, width):
    return 'tile/%s/%s%s' % (kind, tile_number(n), '' if width == 256 else '.p/%d' % width)


def check_sealed(folder):
    raw = read(os.path.join(folder, 'sealed')).decode('ascii', 'replace')
    m = re.match(r'# liaison/1 bundle from (\d+) size (\d+) files (\d+)\n', raw)
    want(m, 'sealed: not a bundle', INCOMPLETE)
    start, size, files = (int(g) for g in m.groups())
    lines = raw[m.end():].split('\n')
    want(len(lines) == files + 1 and lines[-1] == '', 'sealed: cut short', INCOMPLETE)
    for line in lines[:-1]:
        m = re.fullmatch('([0-9a-f]{64})  ([a-z0-9./]+)', line)
        want(m and '..' not in m.group(2), 'sealed: %s' % line)
        want(sha256(read(os.path.join(folder, m.group(2)))).hex() == m.group(1), '%s is not what was sealed' % m.group(2))
    want(start == 0, 'the bundle begins with entry %d, this checker wants 0' % start, CANNOT)
    return size


def read_page(folder, n, width):
    path = tile_path('entries', n, width)
    raw, at, out = read(os.path.join(folder, path)), 0, []
    for _ in range(width):
        length = int.from_bytes(raw[at:at + 2], 'big')
        want(at + 2 + length <= len(raw) and length > 0, path + ': cut short', INCOMPLETE)
        out.append(raw[at + 2:at + 2 + length])
        at += 2 + length
    want(at == len(raw), path + ': holds more')
    return out


def check_bundle(o, policy):
    folder = o.file
    size = check_sealed(folder)
    c = Checkpoint(Note(read(os.path.join(folder, 'checkpoint'))))
    want(c.size == size, 'the checkpoint is of another size')
    want(size > 0, 'there is nothing to check', CANNOT)
    trail, leaves = Trail(c.origin, policy), []
    for n in range((size + 255) // 256):
        for raw in read_page(folder, n, min(256, size - 256 * n)):
            trail.entry(len(leaves), raw)
            leaves.append(sha256(b'\x00', raw))
    level, hashes = 0, leaves
    while hashes:
        for n in range((len(hashes) + 255) // 256):
            part = hashes[256 * n:256 * n + 256]
            path = tile_path(level, n, len(part))
            want(read(os.path.join(folder, path)) == b''.join(part), path + ': other hashes than the entries have')
        hashes = [root_of(hashes[i:i + 256]) for i in range(0, len(hashes) - 255, 256)]
        level += 1
    want(root_of(leaves) == c.root, 'the entries lead to another root')
    for rule_set in trail.rule_sets:
        want(sha256(read(os.path.join(folder, 'rules', rule_set.hex()))) == rule_set, 'a rule text that was changed')
    policy.judge(c.note, o.now)
    if trail.before is not None:
        policy.judge(trail.before.note, o.now)
    if o.old is not None:
        old = policy.judge(Note(read(o.old, CANNOT)), o.now)
        want(old.origin == c.origin, 'the other checkpoint is of another log', CANNOT)
        want(old.size <= size, 'the log has %d entries, %d were seen' % (size, old.size), FORK)
        want(root_of(leaves[:old.size]) == old.root, 'the log does not extend what was seen', FORK)
    print('verified: %d entries of %s, %d parties' % (size, c.origin, len(trail.counters)))


# ---------------------------------------------------------------- proofs, checkpoints, forks

def check_proof(o, policy):
    head, gap, note = read(o.file, CANNOT).partition(b'\n\n')
    lines = head.decode('utf-8', 'replace').split('\n')
    want(gap and lines[0] == 'c2sp.org/tlog-proof@v1', 'not a proof')
    if len(lines) > 1 and lines[1].startswith('extra '):
        unbase64(lines.pop(1)[6:])
    want(len(lines) > 1 and lines[1].startswith('index ') and len(lines) <= 66, 'not a proof')
    index, path = decimal(lines[1][6:]), [unbase64(p) for p in lines[2:]]
    want(all(len(p) == 32 for p in path), 'an element that is not of 32 bytes')
    c = policy.judge(Note(note), o.now)
    entry = read(o.entry, CANNOT)
    want(climb(sha256(b'\x00', entry), index, c.size, path) == c.root, 'the proof does not lead to the checkpoint')
    want(fields(entry).get(SEQ, [0])[-1] == index, 'the entry is of another place')
    print('verified: entry %d under the checkpoint of %d entries of %s' % (index, c.size, c.origin))


def check_checkpoint(o, policy):
    c = policy.judge(Note(read(o.file, CANNOT)), o.now)
    print('verified: the checkpoint of %d entries of %s' % (c.size, c.origin))


def check_fork(o, policy):
    raw = read(o.file, CANNOT)
    want(raw.startswith(b'liaison/1 fork\n'), 'not the evidence of a fork')
    at, notes = len(b'liaison/1 fork\n'), []
    for which in (b'first', b'second'):
        m = re.compile(which + rb' (\d+)\n').match(raw, at)
        want(m, 'not the evidence of a fork')
        notes.append(raw[m.end():m.end() + int(m.group(1))])
        at = m.end() + int(m.group(1))
    lines = raw[at:].decode('ascii', 'replace').split('\n')
    proof = [bytes.fromhex(x) for x in lines[1:-1]]
    want(lines[0] == 'proof %d' % len(proof), 'not the evidence of a fork')
    a, b = (policy.judge(Note(n), o.now) for n in notes)
    want(a.origin == b.origin and a.size <= b.size, 'two logs are no fork', CANNOT)
    if a.size < b.size and not proof:
        raise Bad(CANNOT, 'both notes are signed; whoever was shown the second before the first was shown a rollback')
    if a.size < b.size:
        old, new = grown(a.size, a.root, b.size, proof)
        want(new == b.root, 'the proof does not lead to the second note', CANNOT)
        want(old != a.root, 'the second extends the first: no fork', CANNOT)
    want(a.root != b.root, 'one tree is no fork', CANNOT)
    print('a fork is proved: two trees of %s, of %d and of %d entries' % (a.origin, a.size, b.size))


def rotations(policy, raw):
    for text in re.findall('(?s).*?\n\n(?:\u2014 [^\n]*\n)+\n*', raw.decode()):
        policy.rotate(Note(text.strip('\n').encode() + b'\n'))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('what', choices=['checkpoint', 'proof', 'bundle', 'fork'])
    p.add_argument('file')
    p.add_argument('entry', nargs='?')
    p.add_argument('--policy', required=True)
    p.add_argument('--rotations')
    p.add_argument('--old')
    p.add_argument('--now', type=int, default=int(time.time()))
    o = p.parse_args()
    try:
        policy = Policy(read(o.policy, CANNOT).decode())
        if o.rotations:
            rotations(policy, read(o.rotations, CANNOT))
        {'checkpoint': check_checkpoint, 'proof': check_proof, 'bundle': check_bundle, 'fork': check_fork}[o.what](o, policy)
    except Bad as e:
        print('NOT VERIFIED: %s' % e)
        return e.result
    return 0


if __name__ == '__main__':
    sys.exit(main())
