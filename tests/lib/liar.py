"""A broker that lies: it stands before an honest one, with its key, and changes what it answers to one auditor."""
import os
import socket
import ssl
import threading

import wire


class Liar:
    """change(call, answer) gives what the auditor hears instead of the answer."""

    def __init__(self, stage, member, change):
        self.member, self.change = member, change
        broker = os.path.join(stage.folder, 'net', 'broker')
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_3
        self.context.set_alpn_protocols(['liaison/1'])
        self.context.load_cert_chain(os.path.join(broker, 'broker.crt'), os.path.join(broker, 'broker.key'))
        self.context.load_verify_locations(os.path.join(broker, 'ca.crt'))
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.address = '127.0.0.1:%d' % self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                raw, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(raw,), daemon=True).start()

    def talk(self, raw):
        near = wire.Peer.__new__(wire.Peer)
        near.last_id, near.bytes = 0, b''
        try:
            near.socket = self.context.wrap_socket(raw, server_side=True)
            near.greet('ROUTER')
            far = self.member.connect()
            while True:  # one call at a time: whoever has several open waits a little longer
                call = near.recv_bytes(patience=60)
                far.send_bytes(call)
                answer = self.change(wire.pb.Frame.FromString(call), far.recv())
                near.send_bytes(answer.SerializeToString())
        except (wire.Closed, wire.Refused, TimeoutError, OSError):
            raw.close()

    def close(self):
        self.listener.close()
