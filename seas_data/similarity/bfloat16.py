"""Detection of native bfloat16, which multiplies matrices two to four times as fast as float32."""

from functools import cache

import torch


@cache
def has_native_bf16() -> bool:
    """Return whether the GPU, or the CPU on machines without one, multiplies bfloat16 matrices natively."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    can = torch.cpu.get_capabilities()
    return bool(can.get("avx512_bf16") or can.get("amx_bf16"))
