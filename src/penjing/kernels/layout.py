"""Weight matrices as the kernels read them: 16 rows side by side, in panels of 32 columns.

A *block* is 16 rows (outputs), one for each lane. Integers lie in *panels*, 32 columns of a block:

    4 bits  4 x 64 bytes: lane n of vector j holds columns 4j..4j+3 of row n in the low half bytes,
            columns 16+4j..16+4j+3 in the high ones
    8 bits  8 x 64 bytes: lane n of vector j holds columns 4j..4j+3 of row n

They are unsigned: w = scale * (q - zero) + offset, with one `zero` for the matrix, and a scale and
an offset for each group of columns of a row. Before a group's panels lie its 16 scales, and its 16
offsets, if it has any, so that memory is read from one end to the other. Where that would put
panels astride two cache lines, two groups make a pair: scales, scales, panels, panels.

Floats lie column by column, 16 rows side by side. Rows are padded to whole blocks and columns to
whole panels; the padding is multiplied with zeros.
"""

from penjing.kernels.activations import GROUP
from penjing.kernels.vector import LANES

PANEL = GROUP  # columns
HALF = PANEL // 2  # columns: the smallest group that shares a scale
NIBBLE_PANEL, BYTE_PANEL = LANES * PANEL // 2, LANES * PANEL  # bytes

# The fields of a matrix's description, int64 each; addresses and lengths in bytes.
KIND = 0  # one of the kinds below
ROWS = 1  # N, outputs
COLUMNS = 2  # K, inputs
VALUES = 3  # address of the first block
PRODUCT = 4  # address of the compiled product with matrices of this kind
BLOCK = 5  # from one block to the next
# Of integers only:
ZERO = 6  # the integer that stands for 0
GROUP_SIZE = 7  # columns that share a scale: 16, or a multiple of 32
PAIRED = 8  # 1: two groups make a pair; 0: each is by itself
STEP = 9  # from one group to the next, or from one pair to the next
OFFSETS = 10  # from the beginning of a group or pair, its scales, to its offsets; 0: none
PANELS = 11  # from the beginning of a group or pair to its panels
HALF_SCALES = 12  # 1: scales and offsets are float16; 0: float32
N_FIELDS = 13

# What the values are: 4 bits, 8 bits, 8 bits in groups of half panels, floats.
NIBBLES, BYTES, FINE_BYTES, FLOAT32, FLOAT16, BFLOAT16 = range(6)
