# The application of a packet script on Linux's side: one JSON array a line, [id, key, port, call, argument...], answered with
# [id, null] when it is so, or [id, reason]. Sockets are told apart by key and peer's port; nothing ever blocks.
import errno
import json
import socket
import struct
import sys


def pattern(seq):
    return ((seq * 7 + (seq >> 8)) & 0xFF) ^ 0x55


def own(seq):
    return (seq * 7 + (seq >> 8)) & 0xFF


class App:
    def __init__(self, sock):
        self.sock = sock
        self.taken = 0
        self.written = 0
        self.unread = b""
        self.eof = False
        self.error = None
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)

    def look(self):
        """Takes an error or the end of the stream, without taking data."""
        if self.error is not None:
            return
        code = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code != 0:
            self.error = errno.errorcode[code]


TCP_CLOSE = 7
listeners = {}
waiting = {}
apps = {}


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def call(key, port, name, words):
    if name == "listen":
        if key not in listeners:
            sock = socket.socket(family_of(words[2]))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((words[2], int(words[1])))
            sock.listen(int(words[0]) if words[0] else 16)
            sock.setblocking(False)
            listeners[key] = sock
        return None
    if name == "unlisten":
        listeners.pop(key).close()
        return None
    if name == "connect":
        sock = socket.socket(family_of(words[0]))
        app = apps[(key, port)] = App(sock)
        try:
            sock.connect((words[0], port))
        except BlockingIOError:
            pass
        except OSError as error:
            app.error = errno.errorcode[error.errno]
        return None
    if name == "accept":
        return accept(key, port)
    app = apps.get((key, port))
    if app is None:
        return "there is no such connection"
    return of_socket(app, name, words)


def accept(key, port):
    while True:
        try:
            sock, peer = listeners[key].accept()
        except BlockingIOError:
            break
        waiting[(key, peer[1])] = sock
    sock = waiting.pop((key, port), None)
    if sock is None:
        return "no connection waits to be accepted"
    old = apps.get((key, port))
    if old is not None:
        old.sock.close()
    apps[(key, port)] = App(sock)
    return None


def of_socket(app, name, words):
    sock = app.sock
    if name == "open":
        try:
            sock.getpeername()
            return None
        except OSError:
            return "the connection is not open"
    if name == "write":
        length = int(words[0])
        data = bytes(own(app.written + i + 1) for i in range(length))
        sent = sock.send(data)
        app.written += sent
        return None if sent == length else "%d bytes were taken" % sent
    if name == "read":
        return read(app, int(words[0]))
    if name == "eof":
        if not app.eof:
            try:
                app.eof = sock.recv(1, socket.MSG_PEEK) == b""
            except BlockingIOError:
                pass
        return None if app.eof else "the end of the stream has not come"
    if name == "shutdown":
        sock.shutdown(socket.SHUT_WR)
        return None
    if name == "abort":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
        return None
    if name == "nodelay":
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0 if words[0] == "off" else 1)
        return None
    if name == "keepalive":
        seconds = int(words[0])
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, seconds)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, seconds)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return None
    if name == "alive":
        # SO_ERROR would take soft errors too.
        state = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
        return None if state != TCP_CLOSE else "it ended"
    if name == "closed":
        app.look()
        wanted = words[0] if words else ""
        if (app.error or "") == wanted:
            return None
        return "it ended as %s" % app.error
    return "'%s' is no call" % name


def read(app, count):
    while len(app.unread) < count:
        try:
            chunk = app.sock.recv(count - len(app.unread))
        except BlockingIOError:
            chunk = b""
        if chunk == b"":
            return "%d bytes came, not %d" % (len(app.unread), count)
        app.unread += chunk
    for i, byte in enumerate(app.unread):
        if byte != pattern(app.taken + i + 1):
            return "the byte at %d is not what the peer sent" % (app.taken + i + 1)
    app.taken += count
    app.unread = b""
    return None


for line in sys.stdin:
    number, key, port, name, *words = json.loads(line)
    try:
        answer = call(key, port, name, words)
    except OSError as error:
        answer = "%s: %s" % (name, errno.errorcode.get(error.errno, error))
    print(json.dumps([number, answer]), flush=True)
