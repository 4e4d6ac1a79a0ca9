"""A service that counts requests in memory: a line received is answered by their number and the connections'."""

import socketserver

PORT = 7070


class Counter(socketserver.StreamRequestHandler):
    requests = 0
    accepts = 0

    def handle(self):
        Counter.accepts += 1
        for _ in self.rfile:
            Counter.requests += 1
            self.wfile.write(f"{Counter.requests} {Counter.accepts}\n".encode())


if __name__ == "__main__":
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    with socketserver.ThreadingTCPServer(("127.0.0.1", PORT), Counter) as server:
        server.serve_forever()
