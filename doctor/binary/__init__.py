"""What is in a binary file: ELF facts, CUDA kernel images and AMD code objects, from headers alone.

Nothing here executes or loads what it reads, and no GPU, CUDA or ROCm is needed. Compressed data is inflated
only as far as its first block.
"""
