"""A broker whose store and keys are tampered with while it is stopped, and what auditors and members then see.

    stage = faults.Faults()            network, broker (not started), members prison, probation, dpa (of fr), court (of all)
    stage.start(); stage.stop()        the broker; its log of this start is stage.log()
    stage.fill(n)                      at least n entries more
    stage.edit('flip', 17)             tests/fault/edit_store on the stopped store
    stage.keep('a'); stage.put_back('a', notary=False)    copies of the store, and of the notary's files
    stage.evidence('words')            waits until the log says that it is evidence, and why
    stage.checkpoint(peer, size)       a signed checkpoint of at least that size

All persons and agencies are invented.
"""
import os
import shutil
import subprocess
import time

import merkle
import wire
from wire import Wrong, caller, code_name, said, want

PRISON, PROBATION = 'fr/lyon/prison', 'fr/lyon/probation'
ORIGIN = 'practicies.example/eu/main/'


ASAN = os.environ.get('ASAN_OPTIONS', '') + ':verify_asan_link_order=0:detect_leaks=0'  # a shim comes before its runtime


def preloaded(shim, **more):
    """An environment in which a program has this shim under it."""
    return dict(os.environ, LD_PRELOAD=shim, ASAN_OPTIONS=ASAN, **more)


def preload(shim):
    """The same for a shell."""
    return 'LD_PRELOAD=%s ASAN_OPTIONS=%s' % (shim, ASAN)


class Faults(wire.Stage):
    def __init__(self, settings=()):
        super().__init__()
        self.network([PRISON, PROBATION], auditors=['fr/dpa', 'eu/court'], rules=['auditor eu/court of any'],
                     settings=['control "%s/control"' % self.folder, *settings])
        self.prison, self.probation, self.dpa, self.court = map(self.member, (PRISON, PROBATION, 'fr/dpa', 'eu/court'))
        self.broker = os.path.join(self.folder, 'net', 'broker')
        self.store = os.path.join(self.broker, 'store')
        self.settings = os.path.join(self.broker, 'liaisond.conf')
        self.liaisond = os.path.join(wire.OUT, 'liaisond')

    # ------------------------------------------------------------ the broker

    def start(self):
        self.sh('broker_kill; broker_start')  # one runs only where a check has failed

    def stop(self):
        self.sh('broker_stop')

    def run(self, *words):
        """A command of liaisond: status, output, errors."""
        done = subprocess.run([self.liaisond, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=120)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def notary(self, *words):
        status, out, err = self.run('notary', *words, '-c', self.settings)
        want(status, 0, 'the end of notary %s (%s)' % (words, err))
        return out

    def log_key(self):
        return merkle.Key(self.notary('show', '--policy').split()[1])

    def until(self, words, what=None):
        """Waits until the log of this start has these words."""
        end = time.monotonic() + wire.PATIENCE
        while words not in self.log():
            if time.monotonic() > end:
                raise Wrong('the broker does not say %r; it said last: %s' % (words, self.log()[-1500:]))
            time.sleep(0.02)

    def evidence(self, *words):
        self.until('log.evidence')
        line = [one for one in self.log().splitlines() if 'log.evidence' in one][0]
        for w in words:
            want(w in line, True, '%r in %r' % (w, line))
        frame = self.prison.session().call(directory=wire.pb.Directory())
        want(code_name(frame.error.code), 'EVIDENCE', 'the answer to a member')

    # ------------------------------------------------------------ the store

    def edit(self, *words):
        done = subprocess.run([os.path.join(wire.OUT, 'tests', 'fault', 'edit_store'), self.store, *map(str, words)],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        want(done.returncode, 0, 'the end of edit_store %r (%s)' % (words, done.stderr.decode()))
        return done.stdout.decode()

    NOTARY = ('log.key', 'log.state', 'log.key.rotation', 'log.key.old', 'log.state.old')

    def keep(self, name):
        at = os.path.join(self.folder, 'kept', name)
        shutil.rmtree(at, ignore_errors=True)
        shutil.copytree(self.store, os.path.join(at, 'store'))
        for file in self.NOTARY:
            if os.path.exists(os.path.join(self.broker, file)):
                shutil.copy2(os.path.join(self.broker, file), at)

    def put_back(self, name, store=True, notary=True):
        at = os.path.join(self.folder, 'kept', name)
        if store:
            shutil.rmtree(self.store)
            shutil.copytree(os.path.join(at, 'store'), self.store)
        for file in self.NOTARY if notary else ():
            if os.path.exists(os.path.join(self.broker, file)):
                os.unlink(os.path.join(self.broker, file))
            if os.path.exists(os.path.join(at, file)):
                shutil.copy2(os.path.join(at, file), self.broker)

    # ------------------------------------------------------------ what peers do and see

    def fill(self, n):
        peer = self.probation.session()
        while n > 0:
            for call in [peer.send(directory=wire.pb.Directory(limit=1)) for _ in range(min(n, 60))]:
                peer.reply(call)
            n -= 60
        peer.close()

    def prove(self, peer, **fields):
        frame = peer.call(prove=wire.pb.Prove(**fields))
        if frame.WhichOneof('body') != 'proof':
            raise Wrong('Prove was answered %s' % said(frame))
        return frame.proof

    def checkpoint(self, peer, size=1):
        end = time.monotonic() + wire.PATIENCE
        while time.monotonic() < end:
            frame = peer.call(prove=wire.pb.Prove(size=size))
            if frame.WhichOneof('body') == 'proof':
                return merkle.Checkpoint(frame.proof.checkpoint)
            want(code_name(frame.error.code), 'NOT_FOUND', 'the answer while nothing covers it')
        raise Wrong('no checkpoint covers %d entries' % size)

    def entries(self, peer, **fields):
        """Exact bytes of every entry of a filter, with its counters."""
        found, counters, cursor = [], [], b''
        while True:
            frame = peer.call(entries=wire.pb.EntryFilter(cursor=cursor, limit=100, **fields), caller=caller('audit', 'law'))
            if frame.WhichOneof('body') != 'entries_page':
                raise Wrong('Entries was answered %s' % said(frame))
            found += frame.entries_page.entries
            counters += frame.entries_page.counters
            cursor = frame.entries_page.cursor
            if not cursor:
                return found, counters

    def hashes(self, peer, level, size):
        got = b''
        while len(got) // 32 < size >> level:
            page = peer.call(hashes=wire.pb.Hashes(level=level, **{'from': len(got) // 32})).hash_page.hashes
            if not page:
                raise Wrong('no hashes from %d on at level %d' % (len(got) // 32, level))
            got += page
        return merkle.split(got)[:size >> level]


def entry(data):
    return wire.pb.LedgerEntry.FromString(data)


def event(data):
    return wire.pb.Event.Name(entry(data).event)[len('EVENT_'):]
