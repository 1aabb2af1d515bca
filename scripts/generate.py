"""Regenerates the stubs of `proto/` into `sidecar/v1`, or into another root to compare with."""

import subprocess
import sys
from importlib.resources import files
from pathlib import Path

ROOT = Path(__file__).parents[1]


def generate(out: Path) -> None:
    """Write the stubs below `out`.

    Raises:
        subprocess.CalledProcessError: if the compiler refuses the proto.
    """
    programs = Path(sys.executable).parent
    sources = sorted(str(p) for p in (ROOT / "proto").rglob("*.proto"))
    arguments = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        f"-I{ROOT / 'proto'}",
        f"-I{files('grpc_tools') / '_proto'}",
        f"--python_out={out}",
        f"--grpc_python_out={out}",
        f"--plugin=protoc-gen-mypy={programs / 'protoc-gen-mypy'}",
        f"--plugin=protoc-gen-mypy_grpc={programs / 'protoc-gen-mypy_grpc'}",
        f"--mypy_out=quiet:{out}",
        f"--mypy_grpc_out=quiet:{out}",
        *sources,
    ]
    subprocess.run(arguments, check=True)


if __name__ == "__main__":
    generate(ROOT)
