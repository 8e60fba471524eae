"""What readers raise for a file that gives no data."""


class Unreadable(ValueError):
    """Why a file gives no data, as a clause that follows its path: "is nested too deeply"."""
