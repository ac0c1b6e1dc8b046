"""The container's health check: exit code 0 when the server in it can take requests, else 1 and the reason.

Only a socket is used: this runs every few seconds, and must cost nothing. It asks the port that the variables name.
"""

import os
import socket
import sys

SECONDS = 2.0


def port():
    """Where health is answered."""
    if os.environ.get("SEPERATE_HEALTH_ENDPOINT") == "true":
        return int(os.environ.get("AZMLINFSRV_HEALTH_PORT") or os.environ.get("HEALTH_PORT") or 5000)
    return int(os.environ.get("AZMLINFSRV_PORT") or 5001)


def connect():
    """A connection to the server in this container, over TLS where it serves that."""
    connection = socket.create_connection(("127.0.0.1", port()), timeout=SECONDS)
    if not os.environ.get("AZMLINFSRV_CERTFILE"):
        return connection
    import ssl

    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # it is this container's own
    return context.wrap_socket(connection)


def main():
    """Ask once."""
    try:
        with connect() as connection:
            connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = connection.makefile("rb").read(65536)
    except OSError as error:
        print(f"port {port()} of this container: {error}")
        return 1
    status = answer.partition(b"\r\n")[0]
    if b" 200 " in status + b" ":
        return 0
    print(answer.partition(b"\r\n\r\n")[2].decode("utf-8", "replace").strip() or status.decode("latin-1"))
    return 1


if __name__ == "__main__":
    sys.exit(main())
