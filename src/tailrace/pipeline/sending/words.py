"""What the user is told when a destination does not take records: one line when that begins, see `availability`."""

from __future__ import annotations

KEPT = "nothing can be delivered to the destination now; its records are kept and sent again"
NOT_TAKEN = "destination does not take records now; they are kept and sent again"
NOT_ALLOWED = "destination takes nothing until something is set right; its records are kept, the next try is later"
NOT_BUILT = "no request can be made for the destination; its records are kept"
BROKEN = "a fault in the code for the destination stops its records; they are kept"
