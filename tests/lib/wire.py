"""A minimal peer for end-to-end tests, written from the protocol page and nothing of ours but liaison.proto.

    stage = Stage()                  a throw-away folder, and one bash that has sourced network.sh and broker.sh
    stage.sh('broker_start')         does something there; an exception if it fails; gives what it printed
    pb                               the messages of proto/liaison.proto, after a Stage was made
    prison = stage.member(NAME)      a member with the certificates in its profile
    prison.burst(KIND, MESSAGES)     a Signature for each of them
    Denials()                        what was refused, to be read back from the ledger
    peer = prison.session()          TLS, ZMTP, Hello; peer.call(...), peer.deliver(), peer.close()
    with stage.check(WORDS): ...     one line of the report; any exception fails it
    stage.finish()                   the closing line; ends the program

Names and numbers of people are invented.
"""
import base64
import contextlib
import hashlib
import importlib
import json
import os
import secrets
import shlex
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time
import traceback

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OUT = os.path.abspath(os.environ.get('OUT', os.path.join(TOP, 'build')))
NETWORK = 'practicies.example'
PATIENCE = 20.0  # seconds for anything that must happen; a sanitized broker on a busy machine is slow
pb = None


def load_messages():
    """Generates Python's messages from liaison.proto into $OUT and imports them."""
    global pb
    into = os.path.join(OUT, 'tests', 'wire')
    os.makedirs(into, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into) as fresh:
        subprocess.run(['protoc', '-I', os.path.join(TOP, 'proto'), '--python_out=' + fresh, 'liaison.proto'], check=True)
        os.replace(os.path.join(fresh, 'liaison_pb2.py'), os.path.join(into, 'liaison_pb2.py'))
    sys.dont_write_bytecode = True
    sys.path.insert(0, into)
    pb = importlib.import_module('liaison_pb2')


# ---------------------------------------------------------------- the stage


class Wrong(Exception):
    """A check's own finding: what was seen instead."""


def want(seen, wanted, what='it'):
    if seen != wanted:
        raise Wrong('%s is %r, not %r' % (what, seen, wanted))


class Stage:
    def __init__(self):
        load_messages()
        self.folder = tempfile.mkdtemp(prefix='liaison-e2e.')
        self.passed = self.failed = 0
        self.bash = subprocess.Popen(['bash'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=TOP,
                                     env=dict(os.environ, OUT=OUT, LC_ALL='C'))
        # Ends and tidies up when its input ends, whatever has become of us.
        self.sh('. tests/lib/network.sh && . tests/lib/broker.sh && '
                'trap \'broker_kill; kill $(jobs -p) 2>/dev/null; rm -rf %s\' EXIT' % shlex.quote(self.folder))
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    def sh(self, command, check=True):
        said, errors = os.path.join(self.folder, 'said'), os.path.join(self.folder, 'errors')
        self.bash.stdin.write(('{ %s\n} >%s 2>%s </dev/null; echo $?\n' % (command, said, errors)).encode())
        self.bash.stdin.flush()
        status = self.bash.stdout.readline().strip()
        with open(said) as f, open(errors) as g:
            out, err = f.read(), g.read()
        if not status.isdigit() or (check and status != b'0'):
            raise Wrong('%s ended with %s: %s' % (command, status.decode() or 'nothing', (err or out).strip()))
        return out.strip() if check else (int(status), out, err)

    def variable(self, name):
        return self.sh('echo "$%s"' % name)

    @property
    def port(self):
        return int(self.variable('BROKER_PORT'))

    def network(self, agencies, auditors=(), settings=(), rules=()):
        """Certificates, settings and rules; the broker is not started."""
        self.sh('network_make %s/net' % self.folder)
        self.sh('network_agency ' + ' '.join(agencies))
        if auditors:
            self.sh('network_auditor ' + ' '.join(auditors))
        self.sh('network_broker && broker_make ' + ' '.join(map(shlex.quote, settings)))
        if rules:
            self.sh('broker_rules ' + ' '.join(map(shlex.quote, rules)))

    def member(self, name, folder=None):
        return Member(self, name, folder or os.path.join(self.folder, 'net', 'profiles', name.replace('/', '.')))

    def rss_kib(self):
        with open('/proc/%s/status' % self.variable('BROKER_PID')) as f:
            return int([line for line in f if line.startswith('VmRSS:')][0].split()[1])

    def log(self):
        """What the broker has said since its last start."""
        return self.sh('tail -n "+$BROKER_FROM" "$BROKER_LOG"')

    def ledger(self, auditor, *options):
        """Entries as liaison-audit shows them to an auditor, as dictionaries."""
        said = subprocess.run([os.path.join(OUT, 'liaison-audit'), 'log', '--json', '--profile', auditor.folder, *options],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        if said.returncode != 0:
            raise Wrong('liaison-audit ended with %d: %s' % (said.returncode, said.stderr.decode()))
        return [json.loads(line) for line in said.stdout.splitlines()]

    @contextlib.contextmanager
    def check(self, words):
        begin = time.monotonic()
        try:
            yield
        except Exception as e:  # a test goes on after a failure
            self.failed += 1
            print('FAIL %s: %s' % (words, e if isinstance(e, Wrong) else traceback.format_exc()), flush=True)
        else:
            self.passed += 1
            took = time.monotonic() - begin
            print('ok   %s%s' % (words, ' (%.1f s)' % took if took >= 1 else ''), flush=True)

    def end(self):
        if self.bash is not None:
            self.bash.stdin.close()
            self.bash.wait(60)
            self.bash = None
            shutil.rmtree(self.folder, ignore_errors=True)

    def finish(self):
        if self.failed:
            print('the broker said:\n%s' % self.sh('tail -n 60 "$BROKER_LOG"', check=False)[1])
        self.end()
        print('%s: %d passed, %d failed' % (os.path.basename(sys.argv[0]), self.passed, self.failed))
        sys.exit(0 if self.failed == 0 and self.passed > 0 else 1)


# ---------------------------------------------------------------- what members make


def sha256(*parts):
    return hashlib.sha256(b''.join(parts)).digest()


def uuid7(unix_ms=None):
    ms = int(time.time() * 1000) if unix_ms is None else unix_ms
    r = bytearray(secrets.token_bytes(10))
    r[0] = 0x70 | r[0] & 0x0f
    r[2] = 0x80 | r[2] & 0x3f
    return ms.to_bytes(6, 'big') + bytes(r)


def pem_to_der(path):
    with open(path) as f:
        block = f.read().split('-----BEGIN CERTIFICATE-----')[1].split('-----END')[0]
    return base64.b64decode(block)


def section(name, reader, size=200):
    """A section whose ciphertext is noise: the broker never looks into it."""
    header = pb.SectionHeader(name=name, reader=reader, certificate=secrets.token_bytes(32))
    return pb.Section(salt=secrets.token_bytes(32), header=header.SerializeToString(), ciphertext=secrets.token_bytes(size))


def section_digest(s):
    return sha256(b'liaison/1 section\n', s.salt, s.header, sha256(s.ciphertext))


def digest_list(sections):
    digests = [section_digest(s) for s in sections]
    return sorted(digests + [secrets.token_bytes(32) for _ in range(-len(digests) % 8)])


def tree(messages):
    """RFC 6962, 2.1, the long way."""
    if len(messages) == 1:
        return sha256(b'\x00', messages[0])
    k = 1 << (len(messages) - 1).bit_length() - 1
    return sha256(b'\x01', tree(messages[:k]), tree(messages[k:]))


def tree_path(messages, i):
    """RFC 6962, 2.1.1, lowest first."""
    if len(messages) == 1:
        return []
    k = 1 << (len(messages) - 1).bit_length() - 1
    if i < k:
        return tree_path(messages[:k], i) + [tree(messages[k:])]
    return tree_path(messages[k:], i - k) + [tree(messages[:k])]


class Denials:
    """Denials as they were answered, to be read back from the ledger."""

    def __init__(self):
        self.entries = {}  # seq -> (event, code, agency) as liaison-audit writes them

    def heard(self, frame, code, agency, events=None):
        """Checks one Refused and its entry, and remembers it."""
        if frame.WhichOneof('body') != 'refused':
            raise Wrong('the answer is %s, not refused %s' % (said(frame), code))
        want(code_name(frame.refused.code), code, 'the code (%s)' % frame.refused.text)
        entry = pb.LedgerEntry.FromString(frame.refused.entry)
        want((pb.Verdict.Name(entry.verdict), code_name(entry.code), entry.agency), ('VERDICT_DENIED', code, agency), 'its entry')
        event = pb.Event.Name(entry.event)[len('EVENT_'):]
        if events is not None and event not in events:
            raise Wrong('the entry is about %s, not %s' % (event, ' or '.join(events)))
        self.entries[entry.seq] = tuple(w.lower().replace('_', '-') for w in (event, code)) + (agency,)
        return frame.refused

    def read_back(self, entries):
        """Each of them stands in the ledger as it was told; `entries` as Stage.ledger() gives them."""
        by_seq = {e.get('seq', 0): e for e in entries}
        for seq, (event, code, agency) in sorted(self.entries.items()):
            e = by_seq[seq]
            want((e['event'], e['verdict'], e.get('code'), e['agency']), (event, 'denied', code, agency), 'entry %d' % seq)
        return len(self.entries)


class Member:
    def __init__(self, stage, name, folder):
        self.stage, self.name, self.folder = stage, name, folder

    def file(self, name):
        return os.path.join(self.folder, name)

    def session(self, hello=None, **options):
        peer = self.connect(**options)
        peer.welcome = peer.hello(**(hello or {}))
        return peer

    def connect(self, greet=True, certificate='sign', **options):
        """TLS, and ZMTP if `greet`; no Hello. `certificate` names the files; None shows none."""
        peer = Peer(self.stage.port, self.file('ca.crt'),
                    certificate and (self.file(certificate + '.crt'), self.file(certificate + '.key')), **options)
        if greet:
            peer.greet()
        return peer

    def sign(self, kind, message):
        """A burst of one: the root of its tree is its leaf."""
        return self.burst(kind, [message])[0]

    def sign_root(self, kind, root):
        return subprocess.run(['openssl', 'dgst', '-sha256', '-sign', self.file('sign.key')], stdout=subprocess.PIPE,
                              input=b'liaison/1 ' + kind.encode() + b'\n' + root, check=True).stdout

    def burst(self, kind, messages):
        """One signature over several messages, as the page's "Signatures" says: a Signature for each."""
        made = self.sign_root(kind, tree(messages))
        return [pb.Signature(certificate=pem_to_der(self.file('sign.crt')), signature=made, index=i, size=len(messages),
                             path=tree_path(messages, i)) for i in range(len(messages))]

    def envelope(self, to, sections, **fields):
        e = pb.Envelope(network=NETWORK, version=1, id=uuid7(), case_id=secrets.token_bytes(16), to=to, category='concern',
                        purpose='safeguarding', basis='law', subject_category='SUBJECT_CATEGORY_AT_RISK', minor='MINOR_NO',
                        regime='REGIME_GDPR', handling='HANDLING_NONE', informed='INFORMED_YES', urgency='URGENCY_DAYS_7',
                        created_unix_ms=int(time.time() * 1000), officer='4711', digests=digest_list(sections),
                        type='TYPE_REFERRAL', **{'from': self.name})
        for name, value in fields.items():
            name = 'from' if name == 'sender' else name
            setattr(e, name, getattr(pb, value) if isinstance(value, str) and value.isupper() else value)
        return e

    def referral(self, to, names=('identity',), size=200, signer=None, **fields):
        """A signed referral with noise in its sections; `fields` change the envelope."""
        sections = [section(n, to, size) for n in names]
        envelope = self.envelope(to, sections, **fields).SerializeToString()
        return pb.SignedReferral(envelope=envelope, signature=(signer or self).sign('referral', envelope), sections=sections)

    def handover(self, to, **fields):
        return self.referral(to, **{'type': 'TYPE_TRANSFER', 'category': 'release-handover', 'purpose': 'reintegration',
                                    'regime': 'REGIME_LED', **fields})

    def action(self, reference, move, version, names=(), to='', signer=None, **fields):
        sections = [section(n, to) for n in names]
        a = pb.Action(network=NETWORK, id=uuid7(), referral=reference, move=move, agency=self.name, expected_version=version,
                      officer='4711', purpose='reintegration', basis='law', created_unix_ms=int(time.time() * 1000),
                      digests=digest_list(sections))
        for name, value in fields.items():
            setattr(a, name, value)
        action = a.SerializeToString()
        return pb.SignedAction(action=action, signature=(signer or self).sign('action', action), sections=sections)


def envelope_of(referral):
    return pb.Envelope.FromString(referral.envelope)


def reference_of(referral):
    e = envelope_of(referral)
    return pb.Reference(id=e.id, **{'from': getattr(e, 'from')})


# ---------------------------------------------------------------- the wire


class Closed(Exception):
    """The broker closed the connection. `alert`: the TLS alert's name, if it sent one."""

    def __init__(self, why='', error=None):
        super().__init__(why or str(error))
        self.alert = None
        if isinstance(error, ssl.SSLError):  # not every alert has a name in every Python
            self.alert = error.reason or str(error).split('] ')[-1].split(' (_ssl')[0].upper().replace(' ', '_')


class Refused(Exception):
    """The broker refused with a ZMTP ERROR command."""


GREETING = b'\xff' + bytes(7) + b'\x01\x7f\x03\x01NULL' + bytes(48)
MORE, LONG, COMMAND = 1, 2, 4


def zmtp_frame(body, flags=0):
    if len(body) > 255:
        return struct.pack('>BQ', flags | LONG, len(body)) + body
    return struct.pack('>BB', flags, len(body)) + body


def zmtp_ready(socket_type):
    value = socket_type.encode()
    return zmtp_frame(b'\x05READY\x0bSocket-Type' + struct.pack('>I', len(value)) + value, COMMAND)


class Peer:
    def __init__(self, port, ca, pair, maximum=None, alpn=('liaison/1',)):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False  # a broker is named by a URI; the chain is verified
        context.load_verify_locations(ca)
        if maximum:
            context.maximum_version = maximum
        else:
            context.minimum_version = ssl.TLSVersion.TLSv1_3
        if alpn:
            context.set_alpn_protocols(list(alpn))
        if pair:
            context.load_cert_chain(*pair)
        self.last_id, self.bytes, self.pushed, self.receipts = 0, b'', [], []
        raw = socket.create_connection(('127.0.0.1', port), PATIENCE)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.socket = context.wrap_socket(raw, suppress_ragged_eofs=False)
        except ssl.SSLError as e:
            raw.close()
            raise Closed(error=e) from None

    def close(self):
        self.socket.close()

    def write(self, data):
        try:
            self.socket.sendall(data)
        except (ssl.SSLError, OSError) as e:
            raise Closed(error=e) from None

    def read(self, n, until):
        while len(self.bytes) < n:
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError('nothing came in time')
            self.socket.settimeout(left)
            try:
                got = self.socket.recv(65536)
            except socket.timeout:
                raise TimeoutError('nothing came in time') from None
            except (ssl.SSLError, OSError) as e:
                raise Closed(error=e) from None
            if not got:
                raise Closed('end of the connection')
            self.bytes += got
        taken, self.bytes = self.bytes[:n], self.bytes[n:]
        return taken

    def read_frame(self, until):
        flags, length = self.read(2, until)
        if flags & LONG:
            length = int.from_bytes(bytes([length]) + self.read(7, until), 'big')
        return flags, self.read(length, until)

    def greet(self, socket_type='DEALER'):
        until = time.monotonic() + PATIENCE
        self.write(GREETING)
        greeting = self.read(1, until)
        if greeting != b'\xff':  # an ERROR command comes as a frame
            raise Wrong('a greeting that begins with %r' % greeting)
        want((greeting + self.read(63, until))[:32], GREETING[:32], 'the greeting')
        self.write(zmtp_ready(socket_type))
        flags, body = self.read_frame(until)
        if body[:6] == b'\x05ERROR':
            raise Refused(body[7:].decode())
        want((flags & COMMAND, body[:6]), (COMMAND, b'\x05READY'), 'the first command')

    def recv_bytes(self, patience=None):
        """The next message's bytes; PINGs are answered."""
        until = time.monotonic() + (PATIENCE if patience is None else patience)
        while True:
            flags, body = self.read_frame(until)
            if not flags & COMMAND:
                want(flags & MORE, 0, "the broker's MORE flag")
                return body
            if body[:5] == b'\x04PING':
                self.write(zmtp_frame(b'\x04PONG' + body[7:], COMMAND))
            elif body[:6] == b'\x05ERROR':
                raise Refused(body[7:].decode())

    def recv(self, patience=None):
        return pb.Frame.FromString(self.recv_bytes(patience))

    def send_bytes(self, data, flags=0):
        self.write(zmtp_frame(data, flags))

    def send(self, **body):
        """Sends a call without waiting. Gives its id."""
        self.last_id = body.pop('id', self.last_id + 1)
        self.send_bytes(pb.Frame(id=self.last_id, **body).SerializeToString())
        return self.last_id

    def reply(self, call):
        """The frame that answers call `call`; what is pushed meanwhile is kept for deliver()."""
        while True:
            frame = self.recv()
            if frame.id == call:
                return frame
            if frame.id == 0 and frame.WhichOneof('body') == 'deliver':
                self.pushed.append(frame.deliver)
            elif frame.id == 0 and frame.WhichOneof('body') == 'receipts':
                self.receipts.append(frame.receipts)
            elif frame.id == 0:
                raise Closed('the session was ended: %s' % said(frame))
            else:
                raise Wrong('an answer to call %d, which is not open' % frame.id)

    def call(self, **body):
        return self.reply(self.send(**body))

    def hello(self, **more):
        frame = self.call(hello=pb.Hello(versions=[1], software='tests', **more))
        if frame.WhichOneof('body') != 'welcome':
            raise Wrong('Hello was answered %s' % said(frame))
        return frame.welcome

    def last_words(self):
        """The Error with id 0 that the broker ends the session with; the connection must then end."""
        frame = self.recv()
        want((frame.id, frame.WhichOneof('body')), (0, 'error'), 'the last frame')
        try:
            self.recv()
        except Closed:
            return frame.error
        raise Wrong('the session goes on after its last words')

    def deliver(self, patience=None):
        """The next pushed item; TimeoutError if none comes."""
        if self.pushed:
            return self.pushed.pop(0)
        frame = self.recv(patience)
        want((frame.id, frame.WhichOneof('body')), (0, 'deliver'), 'a push')
        return frame.deliver

    def receipts_for(self, seqs, patience=None):
        """Receipts frames until every one of these entries stands in one."""
        until, missing, frames = time.monotonic() + (PATIENCE if patience is None else patience), set(seqs), []
        while missing:
            if not self.receipts:
                frame = self.recv(max(0.01, until - time.monotonic()))
                want((frame.id, frame.WhichOneof('body')), (0, 'receipts'), 'a push')
                self.receipts.append(frame.receipts)
            frames.append(self.receipts.pop(0))
            missing -= {i.seq for i in frames[-1].inclusions}
        return frames

    def quiet(self, seconds=0.3):
        """Fails if anything is pushed. A call in between proves that whatever was to come has come."""
        self.call(directory=pb.Directory(limit=1))
        try:
            d = self.deliver(seconds)
        except TimeoutError:
            return
        raise Wrong('an item was pushed that should not be: mailbox %d, attempt %d' % (d.mailbox, d.attempt))

    def grant(self, messages=64, size=1 << 20):
        want(self.call(grant=pb.Grant(messages=messages, bytes=size)).WhichOneof('body'), 'done', 'the answer to Grant')

    def ack(self, *items):
        leases = [pb.Lease(mailbox=d.mailbox, lease=d.lease) for d in items]
        want(self.call(ack=pb.Ack(leases=leases)).WhichOneof('body'), 'done', 'the answer to Ack')

    def submit(self, referral):
        frame = self.call(submit=pb.Submit(referral=referral))
        if frame.WhichOneof('body') != 'accepted':
            raise Wrong('Submit was answered %s' % said(frame))
        return referral

    def act(self, action):
        frame = self.call(act=action)
        if frame.WhichOneof('body') != 'accepted':
            raise Wrong('Act was answered %s' % said(frame))
        return frame.accepted


def code_name(code):
    return pb.Code.Name(code)[len('CODE_'):]


def said(frame):
    """A frame in a few words, for people."""
    kind = frame.WhichOneof('body')
    body = getattr(frame, kind)
    return '%s %s: %s' % (kind, code_name(body.code), body.text) if kind in ('error', 'refused') else str(kind)


def caller(purpose='reintegration', basis='law', officer='4711'):
    return pb.Caller(officer=officer, purpose=purpose, basis=basis)
