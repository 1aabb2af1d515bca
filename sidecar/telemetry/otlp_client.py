"""The relay's own gRPC client: sends stored bytes as they are and says what the answer means."""

from pathlib import Path

import grpc
import grpc.aio

from sidecar.telemetry.answers import DETAILS, Answer, Blocked, of_error, of_success
from sidecar.telemetry.destination import Destination
from sidecar.telemetry.environment import TelemetrySettingError
from sidecar.telemetry.resource import DISTRIBUTION, product_version

_METHODS = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}
_RECONNECT_MS = 500
_OPTIONS: tuple[tuple[str, str | int], ...] = (
    ("grpc.initial_reconnect_backoff_ms", _RECONNECT_MS),
    ("grpc.min_reconnect_backoff_ms", _RECONNECT_MS),
    ("grpc.max_reconnect_backoff_ms", _RECONNECT_MS),
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.primary_user_agent", f"{DISTRIBUTION}/{product_version()}"),
)


class OtlpClient:
    """One signal's connection to its collector; used on one event loop.

    Raises:
        TelemetrySettingError: at once, for a certificate or key that cannot be read.
    """

    def __init__(self, signal: str, destination: Destination) -> None:
        self.signal = signal
        self._destination = destination
        self._channel: grpc.aio.Channel | None = None
        credentials(destination)

    async def send(self, body: bytes) -> Answer:
        """Send one request and return what became of it; only cancellation raises."""
        try:
            return of_success(self.signal, await self._call(body))
        except grpc.aio.AioRpcError as error:
            return await self._failed(error)
        except TelemetrySettingError as error:
            return Blocked(str(error))

    async def close(self) -> None:
        """Drop the connection; a later send opens one anew, with the certificates of then."""
        if self._channel is not None:
            channel, self._channel = self._channel, None
            await channel.close()

    async def _call(self, body: bytes) -> bytes:
        if self._channel is None:
            self._channel = _channel(self._destination)
        method = _METHODS[self.signal]
        export: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(method)
        timeout = self._destination.timeout.total_seconds()
        return await export(body, timeout=timeout, metadata=self._destination.headers)

    async def _failed(self, error: grpc.aio.AioRpcError) -> Answer:
        # A peer that vanished without a word keeps a connection alive for many minutes.
        if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            await self.close()
        details = dict(error.trailing_metadata() or ()).get(DETAILS, b"")
        raw = details if isinstance(details, bytes) else b""
        return of_error(error.code(), error.details() or "", raw)


def credentials(destination: Destination) -> grpc.ChannelCredentials | None:
    """Return TLS credentials from the files that the destination names, None without TLS.

    Raises:
        TelemetrySettingError: for a file that cannot be read.
    """
    if not destination.secure:
        return None
    return grpc.ssl_channel_credentials(
        _read("OTEL_EXPORTER_OTLP_CERTIFICATE", destination.certificate),
        _read("OTEL_EXPORTER_OTLP_CLIENT_KEY", destination.client_key),
        _read("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", destination.client_certificate),
    )


def _read(variable: str, path: str) -> bytes | None:
    try:
        return Path(path).read_bytes() if path else None
    except OSError as error:
        raise TelemetrySettingError(variable, path, f"the file cannot be read ({error.strerror})") from None


def _channel(destination: Destination) -> grpc.aio.Channel:
    compression = grpc.Compression.Gzip if destination.gzip else grpc.Compression.NoCompression
    secrets = credentials(destination)
    if secrets is None:
        return grpc.aio.insecure_channel(destination.target, _OPTIONS, compression)
    return grpc.aio.secure_channel(destination.target, secrets, _OPTIONS, compression)
