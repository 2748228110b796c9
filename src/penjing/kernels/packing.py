"""The kernels that bring weights into the form of layout.py."""

from penjing.compiling.functions import entry, inlined
from penjing.kernels.layout import BLOCK, NIBBLE_PANEL, PAIRED, PANELS, STEP, VALUES
from penjing.kernels.memory import read_int, write_bits, write_int
from penjing.kernels.vector import LANES

_LOW_HALVES = 0x0F0F0F0F  # of four bytes
_ONES = 0x01010101


@inlined
def group_address(fields, row, group, size):
    """Where the part of a group, `size` bytes of it, lies among the same parts of a pair."""
    paired, step = fields[PAIRED], fields[STEP]
    block = fields[VALUES] + row // LANES * fields[BLOCK]
    return block + (group >> paired) * step + (group & paired) * size


@entry
def interleave(_isa, rows, packed):
    """(N, K) -> (blocks, K, 16), any one type of integer; missing rows stay as they are."""
    for block in range(packed.shape[0]):
        first = block * LANES
        count = min(LANES, rows.shape[0] - first)
        for column in range(rows.shape[1]):
            for lane in range(count):
                packed[block, column, lane] = rows[first + lane, column]


@entry
def pack_nibbles(_isa, q, rows, groups, panels, fields, zero):
    """Bytes at `q`, of which the low halves count, into groups of so many panels of 4 bits.

    A row has groups * panels * 32 bytes. With a `zero` of 8 they are signed, and 8 is added.
    """
    source = q
    for row in range(rows):
        for group in range(groups):
            target = group_address(fields, row, group, panels * NIBBLE_PANEL)
            target += fields[PANELS] + row % LANES * 4
            for _panel in range(panels):
                for _j in range(4):
                    low = read_int(source) & _LOW_HALVES
                    high = read_int(source + 16) & _LOW_HALVES
                    # On four bits, adding 8 and flipping the highest bit are the same.
                    write_int(target, (low | high << 4) ^ zero * (_ONES | _ONES << 4))
                    source, target = source + 4, target + 64
                source += 16


@entry
def pack_bytes(_isa, q, rows, groups, vectors, fields, zero):
    """Bytes at `q` into groups of so many vectors of 16 rows x 4 columns.

    A row has groups * vectors * 4 bytes. With a `zero` of 128 they are signed, and 128 is added.
    """
    source = q
    for row in range(rows):
        for group in range(groups):
            target = group_address(fields, row, group, vectors * 64)
            target += fields[PANELS] + row % LANES * 4
            for _vector in range(vectors):
                write_int(target, read_int(source) ^ zero * _ONES)
                source, target = source + 4, target + 64


@entry
def pack_factors(_isa, factors, fields, place):
    """Scales or offsets (N, groups), given as their bits, to `place` in each group or pair."""
    rows, groups = factors.shape
    size = factors.itemsize
    for row in range(rows):
        for group in range(groups):
            target = group_address(fields, row, group, LANES * size)
            write_bits(target + place + row % LANES * size, factors[row, group])
