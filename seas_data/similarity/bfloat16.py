"""Detection of native bfloat16, which multiplies matrices two to four times as fast as float32."""

from functools import cache

import torch


@cache
def has_native_bf16() -> bool:
    """Return whether the GPU, or the CPU on machines without one, multiplies bfloat16 matrices natively."""
    return bool(torch.cuda.is_bf16_supported()) if torch.cuda.is_available() else has_cpu_bf16()


@cache
def has_cpu_bf16() -> bool:
    """Return whether the CPU multiplies bfloat16 matrices natively."""
    can = torch.cpu.get_capabilities()
    return bool(can.get("avx512_bf16") or can.get("amx_bf16"))
