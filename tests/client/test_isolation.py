"""The client stands alone: without the server's dependencies, and without the OpenTelemetry SDK."""

import subprocess
import sys

PROBE = """
import sys

SERVER_ONLY = (
    "sqlalchemy", "alembic", "pydantic", "pydantic_settings", "structlog", "typer", "rich", "uvloop",
    "opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.proto",
    "grpc_health", "grpc_reflection", "grpc_status",
    "sidecar.core", "sidecar.store", "sidecar.telemetry", "sidecar.transport", "sidecar.app",
    "sidecar.config", "sidecar.cli",
)


class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name in SERVER_ONLY or name.startswith(tuple(f"{each}." for each in SERVER_ONLY)):
            raise ModuleNotFoundError(name)


sys.meta_path.insert(0, Blocked())
import sidecar.client

missing = [name for name in sidecar.client.__all__ if not hasattr(sidecar.client, name)]
processor = sidecar.client.CorrelationSpanProcessor()
assert processor.force_flush()
print(len(sidecar.client.__all__), missing)
"""


def test_the_client_imports_without_the_servers_dependencies() -> None:
    ran = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    count, missing = ran.stdout.split(maxsplit=1)
    assert int(count) > 20
    assert missing.strip() == "[]"
