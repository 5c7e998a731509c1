"""What every case gets: the settings, the model, what the machine can do, and a folder to work in."""
import dataclasses
import os
import sys


@dataclasses.dataclass(frozen=True)
class Context:
    model: str
    config: dict
    source: str | None
    work: str
    machine: dict
    batch_size: int
    steps: int
    repeat: int
    rows: int
    dense_rows: int
    new_tokens: int

    def path(self, name):
        return os.path.join(self.work, name)

    @property
    def peak_flops(self):
        """Floating-point operations a second of the best matrix product."""
        return self.machine["gemm_gflops"] * 1e9

    @property
    def read_bytes(self):
        """Bytes a second when memory is read, the faster of reading and copying."""
        return 1e9 * max(self.machine["read_gigabytes_per_second"], self.machine["copy_gigabytes_per_second"])


def note(text):
    print(text, file=sys.stderr, flush=True)
