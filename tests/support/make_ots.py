"""Writes an OpenTimestamps proof for a file that contains a block's only transaction: make_ots.py FILE HEIGHT

The double SHA-256 of this transaction is the block's merkle root, with which an OpenTimestamps proof ends.
"""

import sys
from opentimestamps.core.notary import BitcoinBlockHeaderAttestation
from opentimestamps.core.op import OpSHA256
from opentimestamps.core.serialize import StreamSerializationContext
from opentimestamps.core.timestamp import DetachedTimestampFile

path, height = sys.argv[1], int(sys.argv[2])
with open(path, "rb") as file:
    detached = DetachedTimestampFile.from_fd(OpSHA256(), file)
root = detached.timestamp.ops.add(OpSHA256())
root.attestations.add(BitcoinBlockHeaderAttestation(height))
with open(path + ".ots", "wb") as file:
    detached.serialize(StreamSerializationContext(file))
