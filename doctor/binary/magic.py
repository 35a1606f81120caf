"""The bytes that each format starts with; the format's own module names the source.

Apart from the modules, so that a scan imports only those it meets: start-up is most of the time of a short command.
"""

ELF = b"\x7fELF"
FATBIN = b"\x50\xed\x55\xba"
FATBIN_VERSION_AND_SIZE = b"\x01\0\x10\0"  # of a region's header: version 1, 16 bytes
BUNDLE = b"__CLANG_OFFLOAD_BUNDLE__"
COMPRESSED_BUNDLE = b"CCOB"
OFFLOAD_BINARY = b"\x10\xff\x10\xad"
STATIC_ARCHIVE = b"!<arch>\n"
THIN_ARCHIVE = b"!<thin>\n"
ZIP = b"PK\x03\x04"

# The identification of device ELF files: 64-bit, little-endian, and the OS ABI of old cubins, new cubins, AMD code.
OLD_CUBIN = ELF + b"\x02\x01\x01\x33"
NEW_CUBIN = ELF + b"\x02\x01\x01\x41"
CODE_OBJECT = ELF + b"\x02\x01\x01\x40"
