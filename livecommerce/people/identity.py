"""Who is asking: a viewer or a member of staff. Plain records; how they were proved is `tokens` and `sessions`."""

from typing import Literal

import msgspec

StaffRole = Literal["admin", "manager", "advisor", "moderator"]


class ViewerIdentity(msgspec.Struct, frozen=True):
    """A viewer as her signed token says it. Attribution travels with her into every hold and order."""

    viewer_id: str
    name: str
    kind: Literal["guest", "merchant", "simulated"] = "guest"
    advisor_id: str = ""
    shop_id: str = ""
    link_id: str = ""
    # An opaque word for the e-mail address she confirmed; the address itself is not kept.
    verified: str = ""

    @property
    def person(self) -> str:
        """Whom limits count beyond the guest: "m…" the merchant's customer, "v…" who confirmed an address, or ""."""
        if self.kind == "merchant":
            return f"m{self.viewer_id}"  # the same viewer for each customer, on every device
        return self.verified


class StaffIdentity(msgspec.Struct, frozen=True):
    """A member of staff. `org_path` is the place in the organisation tree; she may act on what lies below it."""

    account_id: str
    name: str
    email: str
    role: StaffRole
    org_unit_id: str
    org_path: str

    def may_act_in(self, org_path: str) -> bool:
        """True where `org_path` is this person's own unit or lies below it."""
        return org_path.startswith(self.org_path)
