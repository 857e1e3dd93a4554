"""The process: both protocols in one event loop, from the first load to the last answer."""

import asyncio
import contextlib
import logging
import signal
import socket
import ssl
from collections.abc import Iterator

import grpc
import uvicorn

from seqapps.errors import UserError
from seqapps.serving.asking import Desk
from seqapps.serving.engine import Engine, make_engine
from seqapps.serving.grpc_service import make_server
from seqapps.serving.http import application
from seqapps.serving.models import Models
from seqapps.serving.observing import Metrics, start_logging
from seqapps.serving.settings import Serve

log = logging.getLogger("seqapps.serving")

_LOCAL = ("127.0.0.1", "localhost", "::1")


class _Http(uvicorn.Server):
    """Leaves the signals to us: they stop both protocols."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run(settings: Serve) -> None:
    """Serves until SIGTERM or SIGINT, then finishes what it took.

    Raises:
        UserError: If a bundle cannot be served, or a port cannot be used.
    """
    start_logging()
    metrics = Metrics()
    # Before the signals: Ray sets one of its own.
    engine = make_engine(settings, metrics.replicas)
    try:
        asyncio.run(_run(settings, engine, metrics))
    finally:
        engine.close()


async def _run(settings: Serve, engine: Engine, metrics: Metrics) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    models = Models(settings, engine, watch=metrics.watch)
    desk = Desk(models, metrics, settings)
    with _listening(settings.host, settings.port) as sock:
        http = _http(desk, settings)
        grpc_server = make_server(desk)
        grpc_port = _bind(grpc_server, settings)
        await grpc_server.start()
        serving = asyncio.create_task(http.serve(sockets=[sock]))
        watching = None
        try:
            log.info(
                "listening",
                extra={
                    "host": settings.host,
                    "port": sock.getsockname()[1],
                    "grpc_port": grpc_port,
                    "tls": settings.tls_cert is not None,
                    "token": settings.token_file is not None,
                },
            )
            if settings.host not in _LOCAL and settings.token_file is None:
                log.warning(
                    "open",
                    extra={"reason": "everybody who reaches this host may ask; --token-file"},
                )
            loading = asyncio.create_task(models.load())
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait([loading, stopping, serving], return_when=asyncio.FIRST_COMPLETED)
            if not loading.done():
                loading.cancel()
            else:
                loading.result()
                names = {name: model.newest for name, model in models.by_name.items()}
                log.info("ready", extra={"models": names})
                watching = asyncio.create_task(models.watch())
                await asyncio.wait([stopping, serving], return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
        finally:
            models.draining = True
            log.info("stopping")
            if watching is not None:
                watching.cancel()
            http.should_exit = True
            await asyncio.gather(grpc_server.stop(settings.grace_s), serving)
            models.close()
            log.info("stopped")


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        sock = socket.create_server((host, port), family=family, backlog=1024)
    # A name with an empty part has no form in DNS.
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"{host}:{port} cannot be listened at ({reason}); give another --host or --port."
        ) from None
    # Connections inherit it. asyncio sets it itself, but not on those of a socket that was made
    # without naming its protocol, and answers then wait 40 ms for the client's acknowledgement.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with sock:
        yield sock


def _http(desk: Desk, settings: Serve) -> _Http:
    config = uvicorn.Config(
        application(desk),
        loop="asyncio",
        http="httptools",
        ws="websockets-sansio",
        ws_max_size=1 << 20,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=settings.connections,
        # Longer than httpx (5 s) and most proxies (60 s) keep a connection that is idle: if the
        # server closes it first, a request that is on its way just then is lost.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=max(1, round(settings.grace_s)),
    )
    config.load()
    if settings.tls_cert is not None:
        config.ssl = _tls(settings)
    return _Http(config)


def _tls(settings: Serve) -> ssl.SSLContext:
    assert settings.tls_cert is not None
    assert settings.tls_key is not None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A session ticket comes after the handshake and holds nothing for the program: a client that
    # waits with `select` in one thread finds the socket readable, waits inside the reading for what
    # follows, and a write of its other thread meets OpenSSL there, which is not made for it. The
    # client of `websockets` for threads then waits for ever.
    context.num_tickets = 0
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except OSError as error:
        raise UserError(
            f"{settings.tls_cert} and {settings.tls_key} are not a certificate and its key in PEM "
            f"({error})."
        ) from None
    return context


def _bind(server: "grpc.aio.Server", settings: Serve) -> int:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"{host}:{settings.grpc_port}"
    try:
        if settings.tls_cert is None or settings.tls_key is None:
            return int(server.add_insecure_port(address))
        pair = (settings.tls_key.read_bytes(), settings.tls_cert.read_bytes())
        return int(server.add_secure_port(address, grpc.ssl_server_credentials([pair])))
    except (RuntimeError, OSError):
        raise UserError(
            f"{address} cannot be listened at; give another --host or --grpc-port."
        ) from None
