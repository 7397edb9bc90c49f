"""Clients that remember all they were told, and what must hold of it after the broker has died. No code of the broker's.

world = World(folder, program, more)   a network, a broker (world.broker) and members; world.start(), stop(), save(),
                             restore(), and launch(program), which need not succeed
client = Client(world, n)    n referrals, signed and not sent yet; client.run() sends them in windows, accepts every second one, and
                             remembers every answer and every checkpoint with the time at which it came
judge(world, client, until)  what must hold of all that was told before `until` (monotonic ns): returns 'whole' or 'evidence', or
                             raises wire.Wrong
Recording(world, n)          a broker's work for such a client, written down; put() and outcome() for what a disk may make of it

All agencies are invented, all sections are noise.
"""
import os
import re
import shutil
import subprocess
import sys
import time

import disk
import merkle
import stage
import wire
from wire import Wrong, code_name, said, want

ORIGIN = 'practicies.example/eu/main/1'
SOURCE, SINK, AUDITOR = 'fr/load/source-01', 'fr/load/sink-01', stage.AUDITOR
OUT = wire.OUT
PARTS = ('store', 'store.key', 'log.key', 'log.state')  # of a broker's folder: what must survive


class World:
    def __init__(self, folder, program=None, more=''):
        wire.load_messages()
        self.folder = folder
        self.net = stage.network(os.path.join(OUT, 'tests', 'fault', 'network'), 1, 1)
        self.real = os.path.join(OUT, 'liaisond')
        self.broker = stage.Broker(self.net, os.path.join(folder, 'broker'), program or self.real, more)
        self.source, self.sink, self.auditor = (wire.Member(self, n, self.net.profile(n)) for n in (SOURCE, SINK, AUDITOR))
        self.begin, self.key = 0, None

    @property
    def port(self):
        return int(self.broker.address.rsplit(':', 1)[1])

    def start(self, program=None):
        self.broker.program = program or self.broker.program
        self.begin = os.path.getsize(self.broker.log) if os.path.exists(self.broker.log) else 0
        self.broker.start()
        if self.key is None:
            line = subprocess.run([self.real, 'notary', 'show', '-c', os.path.join(self.broker.folder, 'liaisond.conf'),
                                   '--policy'], stdout=subprocess.PIPE, check=True).stdout.decode()
            self.key = merkle.Key(line.split()[1])

    def launch(self, program):
        """Starts it, however it ends: None when it is ready, or its exit status."""
        b = self.broker
        with open(b.log, 'ab') as log:
            self.begin = log.tell()
            b.process = subprocess.Popen([program, 'run', '-c', self.path('liaisond.conf')], stdin=subprocess.DEVNULL,
                                         stdout=log, stderr=log)
        until = time.monotonic() + wire.PATIENCE
        while time.monotonic() < until and b.process.poll() is None:
            found = re.search(r' start\.ready .*?port=(\d+)', self.log())
            if found:
                b.address = '127.0.0.1:' + found.group(1)
                return None
            time.sleep(0.005)
        return b.process.wait(1)

    def stop(self):
        want(self.broker.stop(), 0, "the broker's exit status")

    def path(self, name):
        return os.path.join(self.broker.folder, name)

    def log(self):
        """What it has said since its last start."""
        return self.broker.said(self.begin)

    def evidence(self):
        found = re.search(r' log\.evidence why="(.*?)"', self.log())
        return found and found.group(1)

    def save(self, to):
        """The broker's lasting files, as they are."""
        shutil.rmtree(to, ignore_errors=True)
        os.makedirs(to)
        for name in PARTS:
            path = os.path.join(self.broker.folder, name)
            if os.path.isdir(path):
                shutil.copytree(path, os.path.join(to, name))
            elif os.path.exists(path):
                shutil.copy2(path, to)

    def restore(self, saved):
        for name in PARTS:
            path, old = os.path.join(self.broker.folder, name), os.path.join(saved, name)
            if os.path.isdir(path):
                shutil.rmtree(path)
            elif os.path.exists(path):
                os.unlink(path)
            if os.path.isdir(old):
                shutil.copytree(old, path)
            elif os.path.exists(old):
                shutil.copy2(old, path)

    def checkpoint(self, note):
        c = merkle.Checkpoint(note)
        want((c.origin, c.origin, c.signed_by(self.key)), (ORIGIN, self.key.name, True), 'origin and signature of a checkpoint')
        return c


class Call:
    """A signed call, the first answer to it, and when that came."""

    def __init__(self, **body):
        self.body, self.entry, self.opening, self.seq, self.at = body, None, None, None, None

    def answered(self, frame):
        kind = frame.WhichOneof('body')
        if kind not in ('accepted', 'duplicate'):
            raise Wrong('a call was answered %s' % said(frame))
        a = getattr(frame, kind)
        if self.entry is None:
            self.entry, self.opening, self.at = a.entry, a.opening, time.monotonic_ns()
            self.seq = wire.pb.LedgerEntry.FromString(a.entry).seq
        else:
            want((kind, a.entry, a.opening), ('duplicate', self.entry, self.opening), 'the answer to the same bytes again')


class Client:
    WINDOW = 4

    def __init__(self, world, n):
        pb = wire.pb
        self.world, self.notes, self.by_hash = world, [], {}
        made = []
        for _ in range(n):
            sections = [wire.section('needs', SINK, 300)]
            envelope = world.source.envelope(SINK, sections, category='load', purpose='reintegration', basis='consent',
                                             subject_category='SUBJECT_CATEGORY_CONVICTED')
            made.append((envelope.SerializeToString(), sections))
        signed = [pb.SignedReferral(envelope=e, signature=s, sections=x)
                  for (e, x), s in zip(made, world.source.burst('referral', [e for e, _ in made]))]
        self.submits = [Call(submit=pb.Submit(referral=r)) for r in signed]
        acts = []
        for r in signed[::2]:
            acts.append(pb.Action(network=wire.NETWORK, id=wire.uuid7(), referral=wire.reference_of(r), move='MOVE_ACCEPT',
                                  agency=SINK, expected_version=1, officer='4711', purpose='reintegration', basis='consent',
                                  created_unix_ms=int(time.time() * 1000)).SerializeToString())
        signatures = world.sink.burst('action', acts)
        self.accepts = [Call(act=pb.SignedAction(action=a, signature=s)) for a, s in zip(acts, signatures)]

    def calls(self):
        return self.submits + self.accepts

    def hear(self, peer):
        """Checkpoints that were pushed."""
        for r in peer.receipts:
            self.told(r.checkpoint)
        peer.receipts.clear()

    def told(self, note):
        if note and note not in self.by_hash:
            self.by_hash[note] = True
            self.notes.append((time.monotonic_ns(), note))

    def run(self, calls=None):
        """Sends all; returns False when the broker has died before the last answer."""
        try:
            source, sink = self.world.source.session(hello={'receipts': True}), self.world.sink.session()
            self.told(source.welcome.checkpoint)
            for i in range(0, len(self.submits), self.WINDOW):
                self.ask(source, self.submits[i:i + self.WINDOW])
                self.ask(sink, self.accepts[i // 2:(i + self.WINDOW) // 2])
            self.told(self.world.source.session().welcome.checkpoint)
            return True
        except (wire.Closed, wire.Refused, OSError):
            return False

    def ask(self, peer, calls):
        ids = [(c, peer.send(**c.body)) for c in calls]
        try:
            for call, number in ids:
                call.answered(peer.reply(number))
        finally:
            self.hear(peer)


def covering(world, peer, size):
    until = time.monotonic() + wire.PATIENCE
    while time.monotonic() < until:
        frame = peer.call(prove=wire.pb.Prove(size=size))
        if frame.WhichOneof('body') == 'proof':
            return world.checkpoint(frame.proof.checkpoint)
        want(code_name(frame.error.code), 'NOT_FOUND', 'the answer while nothing covers it')
    raise Wrong('no checkpoint covers %d entries' % size)


def leaves(peer, size):
    got = b''
    while len(got) < 32 * size:
        frame = peer.call(hashes=wire.pb.Hashes(level=0, **{'from': len(got) // 32}))
        if frame.WhichOneof('body') != 'hash_page' or not frame.hash_page.hashes:
            raise Wrong('Hashes was answered %s' % said(frame))
        got += frame.hash_page.hashes
    return merkle.split(got)[:size]


def entries(peer):
    found, cursor = [], b''
    while True:
        frame = peer.call(entries=wire.pb.EntryFilter(cursor=cursor, limit=100), caller=wire.caller('audit', 'law'))
        if frame.WhichOneof('body') != 'entries_page':
            raise Wrong('Entries was answered %s' % said(frame))
        found += frame.entries_page.entries
        cursor = frame.entries_page.cursor
        if not cursor:
            return found


def whole(world, told, notes):
    """`told`: calls that were answered, `notes`: checkpoints that were. Against a broker that takes calls."""
    auditor = world.auditor.session()
    got = entries(auditor)
    parsed = [wire.pb.LedgerEntry.FromString(e) for e in got]
    size = parsed[-1].seq + 1 if parsed else 0
    now = covering(world, auditor, size)
    hashes = leaves(auditor, now.size)
    want(merkle.root_of(hashes), now.root, "the checkpoint's root")
    by_seq = {}
    for e, p in zip(got, parsed):
        want(merkle.leaf_hash(e), hashes[p.seq], 'the leaf of entry %d' % p.seq)
        by_seq[p.seq] = e
    for note in notes:
        c = world.checkpoint(note)
        if c.size > now.size or merkle.root_of(hashes[:c.size]) != c.root:
            raise Wrong('lost: a checkpoint of %d entries that was told is not of this log' % c.size)
    for c in told:
        if by_seq.get(c.seq) != c.entry:
            raise Wrong('lost: entry %d is not the one that was told' % c.seq)
    done = [(p.event, bytes(p.referral_id)) for p in parsed if p.verdict == wire.pb.VERDICT_DONE and
            wire.pb.Event.Name(p.event) in ('EVENT_SUBMIT', 'EVENT_ACCEPT')]
    want(len(done), len(set(done)), 'submits and accepts, each of which may be there once')
    auditor.close()


def again(client, told):
    """The same signed bytes: what was told comes again byte for byte, the others are taken now or had been."""
    source, sink = client.world.source.session(), client.world.sink.session()
    for peer, calls in ((source, client.submits), (sink, client.accepts)):
        seen = []
        for c in calls:
            copy = Call(**c.body)
            if c in told:
                copy.entry, copy.opening = c.entry, c.opening
            seen.append(copy)
        for i in range(0, len(seen), 16):
            client.ask(peer, seen[i:i + 16])
        peer.close()


def judge(world, client, until=None):
    """Of a broker that has been started again."""
    told = [c for c in client.calls() if c.at is not None and (until is None or c.at < until)]
    notes = [n for at, n in client.notes if until is None or at < until]
    before = list(client.notes), dict(client.by_hash)
    if world.evidence():
        peer = world.source.session()
        frame = peer.call(**client.submits[0].body)
        want((frame.WhichOneof('body'), code_name(frame.error.code)), ('error', 'EVIDENCE'), 'the answer of a log that is evidence')
        peer.close()
        return 'evidence'
    whole(world, told, notes)
    again(client, told)
    whole(world, told, notes)
    client.notes, client.by_hash = before  # those of this image are not those of the next
    return 'whole'


class Recording:
    """A broker's work for a client: its files as they were before, what was done to them, who was told what. It was killed then."""

    def __init__(self, world, referrals):
        self.world = world
        watch = disk.Disk(os.path.join(world.folder, 'control'))
        honest = world.broker.program
        world.start()
        world.stop()
        self.client = Client(world, referrals)
        self.paths = {os.stat(p).st_ino: p for p in (world.path('store/data.mdb'), world.path('log.state'))}
        self.base = {}
        for inode, path in self.paths.items():
            with open(path, 'rb') as f:
                self.base[inode] = f.read()
        world.start(watch.program(os.path.join(world.folder, 'watched'), honest))
        if not self.client.run():
            sys.exit('recording: the broker ended by itself:\n' + world.log()[-2000:])
        world.broker.kill()
        world.broker.program = honest
        self.records = watch.records()

    def count(self, kind):
        return sum(r.kind == kind for r in self.records)

    def put(self, inode, data):
        """The file as the next start finds it."""
        with open(self.paths[inode], 'wb') as f:
            f.write(data)
        lock = self.world.path('store/lock.mdb')
        if os.path.exists(lock):
            os.unlink(lock)  # is in memory only

    def outcome(self, until):
        """'whole', 'evidence: why', 'refused: why', 'ended: why' or 'wrong: why' of the broker that is started on the files put."""
        try:
            self.world.start()
            found = judge(self.world, self.client, until)
            return found if found == 'whole' else '%s: %s' % (found, self.world.evidence())
        except SystemExit as e:
            return 'refused: ' + str(e).split('\n', 1)[-1].strip()
        except (Wrong, wire.Closed, wire.Refused, OSError) as e:
            try:
                status = self.world.broker.process.wait(1)
            except subprocess.TimeoutExpired:
                status = None
            return 'wrong: %s' % e if status is None else 'ended: with %d: %s' % (status, self.world.log()[-300:])
        finally:
            self.world.broker.kill()
