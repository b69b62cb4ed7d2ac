"""Where the time of a run goes: what people wait for is more than what is computed."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from napari_fcnseg.system.formatting import format_duration


@dataclass
class TimeSpent:
    """Seconds of a run, by what they were spent on.

    Attributes
    ----------
    starting : float
        Until the computing process had found its devices.
    preparing : float
        Until it had the network ready.
    computing : float
        From the first tile's start to the last finished tile.
    """

    starting: float = 0.0
    preparing: float = 0.0
    computing: float = 0.0

    def as_dict(self) -> dict[str, float]:
        """Return it as plain data, to a millisecond."""
        return {name: round(seconds, 3) for name, seconds in asdict(self).items()}

    def of(self, total: float) -> str:
        """Return in words what a total was spent on.

        Parameters
        ----------
        total : float
            Seconds from the request to the result, this time among them.
        """
        other = max(0.0, total - self.starting - self.preparing - self.computing)
        parts = {
            "starting the computing process": self.starting,
            "preparing the network": self.preparing,
            "computing": self.computing,
            "reading, planning and showing": other,
        }
        return ", ".join(f"{format_duration(seconds)} {what}" for what, seconds in parts.items() if seconds >= 0.05)
