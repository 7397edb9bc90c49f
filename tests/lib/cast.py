"""The demonstration's members with a real broker, and libliaison's Python binding, for tests written in Python.

binding(out)                 the module client/python/liaison.py on the library of this build; a build with AddressSanitizer needs
                             its runtime loaded first, so the test may be started again by this
Cast(folder, *agencies)      their certificates, made afresh by tests/lib/network.sh; client(name), approver(name, role), revoke(name)
Stage(cast, folder, program) a broker with the demonstration's rules; rules(text); start(), stop(), kill() as stage.Broker

All names are invented; everything in sections is synthetic.
"""
import os
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import stage  # noqa: E402

PRISON, PROBATION, NGO = 'fr/lyon/prison', 'fr/lyon/probation', 'fr/lyon/rebond'
SCHOOL, POLICE, TOWN = 'fr/lyon/lycee-hugo', 'fr/lyon/police', 'fr/lyon/mairie'
AUDITOR = stage.AUDITOR


def _output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _preload(library):
    """The sanitizer's runtime that must be there before Python: its path, or None."""
    wanted = _output('nm', '-D', '--undefined-only', library)
    if '__tsan_init' in wanted:
        print('SKIPPED: ThreadSanitizer cannot be loaded into Python')
        sys.exit(0)
    if '__asan_init' not in wanted:
        return None
    if 'libasan' in _output('readelf', '-d', library):
        return _output('gcc', '-print-file-name=libasan.so')
    return _output('clang', '-print-file-name=libclang_rt.asan-%s.so' % os.uname().machine)


def binding(out):
    library = os.path.join(os.path.abspath(out), 'libliaison.so.1')
    if os.environ.pop('LIAISON_TEST_AGAIN', None) is None:
        runtime = _preload(library)
        if runtime:
            options = os.environ.get('ASAN_OPTIONS', '')
            os.environ.update(LIAISON_TEST_AGAIN=options, LD_PRELOAD=runtime,
                              ASAN_OPTIONS=options + ':detect_leaks=0:verify_asan_link_order=0')
            os.execv(sys.executable, [sys.executable] + sys.argv)
    else:
        os.environ.pop('LD_PRELOAD', None)  # not for the broker
        os.environ.pop('ASAN_OPTIONS', None)
    os.environ['LIAISON_LIBRARY'] = library
    sys.dont_write_bytecode = True
    sys.path.insert(0, os.path.join(stage.TOP, 'client', 'python'))
    import liaison
    return liaison


class Cast:
    def __init__(self, folder, *agencies):
        self.folder = os.path.abspath(folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        self.net = stage.Network(self.folder, list(agencies), [])
        done = subprocess.run(['bash', '-c', stage.MAKE, 'cast', stage.TOP, self.folder] + list(agencies))
        if done.returncode != 0:
            sys.exit('cast: the network could not be made')

    def approver(self, name, role):
        """Makes one of an agency's approvers; returns the name to give to client()."""
        script = '. "$1/tests/lib/network.sh"; NETWORK_DIR=$2; network_approver "$3" "$4"'
        subprocess.run(['bash', '-c', script, 'cast', stage.TOP, self.folder, name, role], check=True)
        return '%s.%s' % (name, role)

    def revoke(self, name):
        script = '. "$1/tests/lib/network.sh"; NETWORK_DIR=$2; network_revoke "$3" --reason keyCompromise'
        subprocess.run(['bash', '-c', script, 'cast', stage.TOP, self.folder, name], check=True)

    def client(self, liaison, address, name, **more):
        settings = dict(broker=address, officer='4711', purpose='reintegration', basis='law', timeout_ms=20000)
        settings.update(more)
        return liaison.Liaison.from_profile(self.net.profile(name), **settings)


class Stage(stage.Broker):
    def __init__(self, cast, folder, program, more=''):
        super().__init__(cast.net, folder, program, more)
        shutil.copy(os.path.join(stage.TOP, 'tests', 'data', 'demo', 'rules.conf'),
                    os.path.join(self.folder, 'rules.conf'))

    def restart(self):
        """On the same port."""
        settings = os.path.join(self.folder, 'liaisond.conf')
        with open(settings) as file:
            text = file.read()
        with open(settings, 'w') as file:
            file.write(text.replace('port 0\n', 'port %s\n' % self.address.rsplit(':', 1)[1], 1))
        return self.start()

    def rules(self, text):
        """Puts other rules into force, as SIGHUP does."""
        with open(os.path.join(self.folder, 'rules.conf'), 'w') as file:
            file.write(text)
        begin = len(self.said())
        self.process.send_signal(signal.SIGHUP)
        self.until(' reload.done ', begin=begin)

    def until(self, words, timeout=20.0, begin=0):
        """Waits until its log holds these words."""
        end = time.monotonic() + timeout
        while words not in self.said(begin):
            if time.monotonic() > end:
                sys.exit('cast: the broker did not say "%s":\n%s' % (words, self.said()))
            time.sleep(0.01)
