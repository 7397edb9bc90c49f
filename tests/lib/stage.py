"""A network of senders and recipients and a real broker on it, for tests and benches written in Python.

network(out, senders, recipients)   makes (or finds, when younger than a day) the certificates with tests/lib/network.sh
Broker(net, folder)                 a liaisond with its own store; start(), kill(), stop(), address

All names are invented.
"""
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
AUDITOR = 'fr/dpa'


def names(kind, n):
    """Agencies of one kind: fr/load/source-01..."""
    return ['fr/load/%s-%02d' % (kind, i + 1) for i in range(n)]


def rules(senders, recipients):
    lines = ['network "practicies.example"', 'keep 1y']
    lines += ['agency %s kind source area fr/load' % a for a in senders]
    lines += ['agency %s kind sink area fr/load' % a for a in recipients]
    lines += ['auditor %s of area fr' % AUDITOR]
    lines += ['allow referral "load" from kind source to kind sink within area',
              '      purpose { reintegration } basis { consent }',
              '      sections { needs }',
              '      reveal on delivery  return { outcome }']
    return '\n'.join(lines) + '\n'


class Network:
    """Certificates under folder; profiles in folder/profiles."""

    def __init__(self, folder, senders, recipients):
        self.folder, self.senders, self.recipients = folder, senders, recipients
        self.profiles = os.path.join(folder, 'profiles')

    def profile(self, name):
        return os.path.join(self.profiles, name.replace('/', '.'))


MAKE = '''set -e
. "$1/tests/lib/network.sh"
shift
network_make "$1"
shift
network_agency "$@"
network_auditor %s
network_broker
network_publish
''' % AUDITOR


def network(folder, senders, recipients):
    """Makes the network, or takes one that the same tools made for the same members within the last day."""
    folder = os.path.abspath(folder)
    net = Network(folder, names('source', senders), names('sink', recipients))
    stamp = os.path.join(folder, 'made')
    mark = hashlib.sha256()
    for path in ('tests/lib/network.sh', 'certs/liaison-ca', 'certs/liaison-ca.cnf', 'certs/liaison-ca-authorities.sh', 'certs/liaison-ca-registry.sh', 'tests/lib/stage.py'):
        with open(os.path.join(TOP, path), 'rb') as f:
            mark.update(f.read())
    mark.update(('%d %d' % (senders, recipients)).encode())
    try:
        with open(stamp) as f:
            if f.read() == mark.hexdigest() and time.time() - os.stat(stamp).st_mtime < 86400:
                return net
    except OSError:
        pass
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    done = subprocess.run(['bash', '-c', MAKE, 'stage', TOP, folder] + net.senders + net.recipients)
    if done.returncode != 0:
        sys.exit('stage: the network could not be made')
    with open(stamp, 'w') as f:
        f.write(mark.hexdigest())
    return net


SETTINGS = '''listen 127.0.0.1 port 0
store "lmdb:{store}" key "{folder}/store.key" map 4G
certificate "{broker}/broker.crt"
key "{broker}/broker.key"
ca "{broker}/ca.crt"
crl "{broker}/crl.pem"
directory "{broker}/directory"
notary key "{folder}/log.key" state "{folder}/log.state"
rules "{folder}/rules.conf"
limit sessions-per-address {per_address}
log info
{more}'''


class Broker:
    """One store and the liaisond that serves it, however often it is started."""

    def __init__(self, net, folder, program, more='', per_address=4096):
        self.folder, self.program = os.path.abspath(folder), program
        self.store = os.path.join(self.folder, 'store')
        self.log = os.path.join(self.folder, 'broker.log')
        self.process = self.address = None
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        self.net = net
        self.write_rules()
        with open(os.path.join(self.folder, 'liaisond.conf'), 'w') as f:
            f.write(SETTINGS.format(store=self.store, folder=self.folder, more=more.format(folder=self.folder), per_address=per_address,
                                    broker=os.path.join(net.folder, 'broker')))

    def write_rules(self, more=0):
        """Those of the load, and so many that nobody ever meets."""
        with open(os.path.join(self.folder, 'rules.conf'), 'w') as f:
            f.write(rules(self.net.senders, self.net.recipients))
            for i in range(more):
                f.write('allow referral "load" from kind source to kind sink within area\n'
                        '      purpose { reintegration } basis { never-%d }  sections { needs }\n' % i)

    def start(self, timeout=20.0):
        """The ordinary start, the same every time. Returns when it says that it is ready."""
        with open(self.log, 'ab') as log:
            begin = log.tell()
            self.process = subprocess.Popen([self.program, 'run', '-c', os.path.join(self.folder, 'liaisond.conf')],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            with open(self.log, 'rb') as log:
                log.seek(begin)
                found = re.search(rb' start\.ready .*?port=(\d+)', log.read())
            if found:
                self.address = '127.0.0.1:' + found.group(1).decode()
                return self
            if self.process.poll() is not None:
                break
            time.sleep(0.005)
        said = self.said(begin)
        self.kill()
        sys.exit('stage: the broker did not start:\n' + said)

    def said(self, begin=0):
        with open(self.log, errors='replace') as log:
            log.seek(begin)
            return log.read()

    def kill(self):
        """kill -9, and gone when it returns."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self, timeout=30.0):
        """SIGTERM. Returns the exit status."""
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            return -signal.SIGKILL
        self.process = None
        return status
